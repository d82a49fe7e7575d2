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
from functools import lru_cache

from sprig.data.documents import Document

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


def encoded_run(document: Document, threshold: int) -> str | None:
    """The characters of the longest run of encoded data. StarCoder2: 1,024."""
    longest = max((stop - start for start, stop in _spans(document.text)), default=0)
    return f"over {threshold:,} characters of encoded data" if longest > threshold else None


def encoded_data(document: Document, threshold: float) -> str | None:
    """The share of characters inside encoded data, in [0, 1]. StarCoder2: 0.5.

    A character in matches of two patterns counts once.
    """
    covered = end = 0
    for start, stop in _spans(document.text):
        covered += max(stop - max(start, end), 0)
        end = max(end, stop)
    return f"over {threshold:.0%} encoded data" if covered > threshold * len(document.text) else None


@lru_cache(maxsize=1)  # both filters ask
def _spans(text: str) -> list[tuple[int, int]]:
    return sorted(_matches(text.encode("ascii", "replace")))  # a byte for a character: the patterns know only ASCII


def _matches(data: bytes) -> Iterator[tuple[int, int]]:
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


FILTERS = {"encoded_run": encoded_run, "encoded_data": encoded_data}
