"""Secrets and personal data in source code -> placeholders, before anything is written.

Where it stands: called on each text by what cleans the documents, before they are split and tokenised. What was
found is counted by kind; what was matched is not printed, logged, raised or kept. Placeholders are StarCoder's
(Li et al. 2023, section 4): <KEY>, <PASSWORD>, <EMAIL>, <IP_ADDRESS>. No quote is taken or added, so that a string
literal stays one.
"""

from collections import Counter

from sprig.data.cleaning.secrets import assignments, credentials, personal, tokens
from sprig.data.cleaning.secrets.finding import Finding, Source

_PASSES = 20  # a pass that finds nothing ends the search: this many were never seen, they bound the time


def redact(text: str, *, python: bool = False) -> tuple[str, Counter[str]]:
    """Replace every secret and every piece of personal data; returns the text and the number of findings by kind.

    In Python, an address stands in a comment or a string: elsewhere, a@b.id is a product of matrices.
    Where two findings overlap, one is replaced and the text is searched again: what is returned holds none, and
    redacting it changes nothing.
    """
    counts: Counter[str] = Counter()
    for _ in range(_PASSES):
        findings = _apart(_find(Source(text, python)))
        if not findings:
            break
        pieces: list[str] = []
        at = 0
        for finding in findings:
            pieces += (text[at : finding.start], finding.placeholder)
            at = finding.end
            counts[finding.kind] += 1
        text = "".join((*pieces, text[at:]))
    return text, counts


def _find(source: Source) -> list[Finding]:
    return [finding for search in (tokens, credentials, assignments, personal) for finding in search.find(source)]


def _apart(findings: list[Finding]) -> list[Finding]:
    apart: list[Finding] = []
    for finding in sorted(findings):
        if apart and finding.start < apart[-1].end:
            if finding.rank >= apart[-1].rank:
                continue
            apart.pop()
        apart.append(finding)
    return apart
