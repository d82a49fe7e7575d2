"""A source -> its distinct, clean documents on disk: read, cleaned, de-duplicated, and every one left out counted.

Where it stands: the first half of the way data takes, before anything is split or learnt. Documents are written as they
come; what is kept in memory of each is its key, its group and its place, so that the size of a corpus does not matter.
"""

import random
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprig.data import sources
from sprig.data.cleaning.pool import cleaned
from sprig.data.cleaning.secrets import redact
from sprig.data.config import DataConfig
from sprig.data.deduplication import first_of_each
from sprig.data.documents import Document, Skips, printable
from sprig.data.near_duplicates import clusters
from sprig.data.store import Documents, StoreWriter
from sprig.trace.records import Funnel

_KEY = 32  # bytes of a SHA-256


@dataclass(frozen=True)
class Collection:
    """The documents that are left of a source."""

    documents: Documents
    keys: NDArray[np.uint8]
    """(N, 32) equal for exact duplicates, of which there are none left."""
    groups: list[str]
    """(N,) documents of one group never stand on both sides of the split."""
    funnel: Funnel
    """What came in and what was left out; what becomes of the rest is added to it later."""


def collect(config: DataConfig, directory: Path, least: int = 2) -> Collection:
    """Read the source that config names into directory; ValueError if fewer than least documents are left.

    Two is what both sides of a split need.
    """
    start = time.perf_counter()
    redacted, funnel = Counter[str](), Funnel()
    unread, dropped, surplus = Skips(), Skips(), Skips()  # by the source, by cleaning, and of what came of it
    keys, sizes, groups, licenses = bytearray(), array("q"), list[str](), list[str]()
    group_names, license_names = _GroupNames(), dict[str, str]()  # one string for all documents of a group
    files = _counted(sources.load(config.source).documents(config, unread), funnel)
    signatures = directory / "signatures"
    with (
        closing(cleaned(files, config, dropped, redacted)) as candidates,  # its processes end with it
        StoreWriter(directory / "documents.jsonl") as store,
        signatures.open("wb") as signature_file,
    ):
        for candidate in candidates:
            name = group_names.of(candidate.group, candidate.document.group)
            document = replace(candidate.document, group=name)
            store.append(document)
            keys += bytes.fromhex(candidate.key)
            signature_file.write(candidate.signature)
            sizes.append(len(document.text.encode()))
            groups.append(name)
            licenses.append(license_names.setdefault(document.license, document.license))
    del group_names  # of many groups it is larger than all that is kept of the documents
    all_keys = np.frombuffer(keys, dtype=np.uint8).reshape(-1, _KEY)
    kept = first_of_each(all_keys)
    surplus.add("exact duplicate", "", int((~kept).sum()))
    if config.near_duplicates is not None and len(kept):
        signed = np.memmap(signatures, np.uint32, "r").reshape(len(kept), -1)
        distinct = np.flatnonzero(kept)
        # The first of a cluster need not be among the distinct ones: what is kept is the first that is.
        _, first = np.unique(clusters(signed, config.near_duplicates)[distinct], return_index=True)
        kept[:] = False
        kept[distinct[first]] = True
        surplus.add("near duplicate", "", len(distinct) - len(first))
    signatures.unlink()
    numbers = np.flatnonzero(kept)
    if len(numbers) < least:
        skips = unread + dropped + surplus
        raise ValueError(_too_few(Documents(directory / "documents.jsonl", numbers), skips, config.redact))
    if config.limit is not None and config.limit < len(numbers):
        surplus.add("over data.limit", "", len(numbers) - config.limit)
        numbers = numbers[sorted(random.Random(config.seed).sample(range(len(numbers)), config.limit))]

    all_sizes = np.frombuffer(sizes, dtype=np.int64)
    funnel.unread, funnel.dropped, funnel.surplus = map(_by_reason, (unread, dropped, surplus))
    funnel.examples = _examples(unread + dropped, config.redact)
    funnel.redacted = dict(redacted.most_common())
    funnel.made, funnel.made_bytes = len(all_sizes), int(all_sizes.sum())
    funnel.kept_documents, funnel.kept_bytes = len(numbers), int(all_sizes[numbers].sum())
    funnel.licenses = dict(Counter(licenses[number] or "unknown" for number in numbers).most_common())
    funnel.seconds = time.perf_counter() - start
    return Collection(
        Documents(directory / "documents.jsonl", numbers),
        all_keys[numbers],
        [groups[number] for number in numbers],
        funnel,
    )


class _GroupNames:
    """What groups are called where they are written: as their source calls them, but for what was redacted.

    Those that redaction has made the same are numbered, in the order in which they come.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._alike: Counter[str] = Counter()

    def of(self, given: str, redacted: str) -> str:
        """The one name of the group that its source calls given, and redaction redacted."""
        if given not in self._names:
            name = redacted
            while name in self._taken:
                self._alike[redacted] += 1
                name = f"{redacted} {self._alike[redacted] + 1}"
            self._taken.add(name)
            self._names[given] = name
        return self._names[given]


def _counted(files: Iterable[Document], funnel: Funnel) -> Iterator[Document]:
    for file in files:
        funnel.documents += 1
        funnel.bytes += len(file.text.encode("utf-8", "surrogatepass"))
        yield file


def _by_reason(skips: Skips) -> dict[str, int]:
    return {reason: count for reason, count in skips.counts.most_common() if count}


def _examples(skips: Skips, without_secrets: bool) -> dict[str, str]:
    """For each reason the first place that was left out, where one is known. A path is redacted before it is cut."""
    found = ((why, path) for why, path in skips.examples.items() if path and skips.counts[why])
    return {why: printable(redact(path)[0] if without_secrets else path) for why, path in found}


def _too_few(documents: Documents, skips: Skips, without_secrets: bool) -> str:
    copies = skips.counts["exact duplicate"]
    if len(documents) and copies and copies == skips.counts.total() - skips.counts["other file type"]:
        same = printable(documents[0].path)
        return f"All {copies + 1} documents are the same ({same}): there is nothing to learn from them."
    examples = _examples(skips, without_secrets)
    reasons = ", ".join(
        f"{count} {reason}" + (f" ({examples[reason]})" if reason in examples else "")
        for reason, count in skips.counts.most_common()
        if count
    )
    left = "One document is left of the source, and it takes two" if documents else "No document is left of the source"
    return f"{left}. Left out: {reasons or 'nothing'}."
