r"""Files that carry data in the place of code: base64, rows of hexadecimal bytes, Unicode escapes.

Where it stands: one module of `sprig.data.cleaning.filters`. The three patterns and both limits are those of StarCoder2
(arXiv:2402.19173, section 2.1, "Encoded data filter"):

    base64       [a-zA-Z0-9+/\n=]{64,}
    hexadecimal  (?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}
    Unicode      (?:\\u[0-9a-fA-F]{4}){8,}

They are kept to the letter, with what they overlook: "0x12, 0x34", with a space behind the comma, is not hexadecimal
to them. What is ours is the way they are searched, for `re` needs 0.1 s for each MB and more for an evil one: nearly
every character is cleared by `bytes.translate` and `bytes.find`, and no pattern goes back over what it has taken.
"""

import re
import string
from collections.abc import Iterator

from sprig.data.documents import Document

_LONGEST = 1024
"""The longest run of encoded data that a file may have, in characters."""

_BASE64 = (string.ascii_letters + string.digits + "+/=\n").encode()
_BASE64_RUN = 64  # characters: the shortest that counts
_HEXADECIMAL = (string.hexdigits + "x\\," + string.whitespace).encode()
_HEXADECIMAL_RUN = len("00,00,00,00,00,00,00,00")
_IS_BASE64, _IS_HEXADECIMAL = (
    bytes(ord("a") if byte in kind else ord(" ") for byte in range(256)) for kind in (_BASE64, _HEXADECIMAL)
)

# Nothing given back (the "+" at the ends) ever leads to another match: what follows a pair, a comma or white space
# tells at once whether the run goes on.
_BYTES = re.compile(rb"(?:\b(?:0x|\\x)?+[0-9a-fA-F]{2}(?>,|\b\s*+)){8,}+")
_ESCAPES = re.compile(rb"(?:\\u[0-9a-fA-F]{4}){8,}+")


def encoded_data(document: Document, threshold: float) -> str | None:
    """The share of characters inside encoded data, in [0, 1]; besides, no run may be over 1,024 characters.

    StarCoder2: 0.5. A character in matches of two patterns counts once.
    """
    data = document.text.encode("ascii", "replace")  # a byte for a character: the patterns know only ASCII
    covered = end = 0
    for start, stop in sorted(_spans(data)):
        if stop - start > _LONGEST:
            return f"over {_LONGEST:,} characters of encoded data"
        covered += max(stop - max(start, end), 0)
        end = max(end, stop)
    return f"over {threshold:.0%} encoded data" if covered > threshold * len(data) else None


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    yield from _runs(data.translate(_IS_BASE64), _BASE64_RUN)
    for start, stop in _runs(data.translate(_IS_HEXADECIMAL), _HEXADECIMAL_RUN):
        # One character more, that the pattern sees whether a word ends with the run.
        yield from (match.span() for match in _BYTES.finditer(data, start, stop + 1))
    yield from (match.span() for match in _ESCAPES.finditer(data))


def _runs(marked: bytes, shortest: int) -> Iterator[tuple[int, int]]:
    """Where the runs of at least shortest "a" stand."""
    start = marked.find(b"a" * shortest)
    while start != -1:
        stop = marked.find(b" ", start)
        stop = len(marked) if stop == -1 else stop
        yield start, stop
        start = marked.find(b"a" * shortest, stop)


FILTERS = {"encoded_data": encoded_data}
