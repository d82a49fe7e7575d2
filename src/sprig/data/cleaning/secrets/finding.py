"""What is searched and what is found: a text as ASCII bytes, a finding in it, and the tests for chance.

Where it stands: below `tokens`, `credentials`, `assignments` and `personal`, which search, and below
`sprig.data.cleaning.secrets`, which replaces. A finding holds positions only, never the text that was matched.
"""

import math
import re
from array import array
from bisect import bisect_right
from collections import Counter
from functools import cached_property
from typing import NamedTuple

from sprig.data.cleaning.literals import LITERAL

KEY, PASSWORD, EMAIL, ADDRESS = "<KEY>", "<PASSWORD>", "<EMAIL>", "<IP_ADDRESS>"  # as in StarCoder's pipeline

# Byte -> byte: "Api_Key2" is searched as "api_key0".
_FOLD = bytes(48 if 48 <= c <= 57 else c + 32 if 65 <= c <= 90 else c for c in range(256))
# Byte -> the kind of character that it is: digit 0, capital A, small letter a, other -.
_KINDS = bytes(
    ord("0") if 48 <= c <= 57 else ord("A") if 65 <= c <= 90 else ord("a") if 97 <= c <= 122 else ord("-")
    for c in range(256)
)
_STATEMENT = re.compile(rb"^[ \t]*(?:import|from|def|class) ", re.M)
_RUNS = re.compile(rb"0+|A+|a+|-+")
_PLACEHOLDER = re.compile(
    rb"(.)\1{4}|\.\.\.|\*\*\*|xxxx|1234567|abcdef|example|sample|dummy|fake|placeholder|change.?me|replace|your|"
    rb"insert|redacted|foobar|default",
    re.I,
)
_WORDS = re.compile(rb"[^A-Za-z0-9]*+(?:(?:[A-Za-z]++[0-9]{0,4}+|[0-9]{1,8}+|[A-Za-z0-9]{1,4}+)(?:[^A-Za-z0-9]++|$))*+")
_INSIDE = re.compile(rb"[A-Za-z0-9_]$")
_CAMEL = re.compile(rb"[A-Z][a-z]{2,}+")


class Finding(NamedTuple):
    """Where a secret stands, in characters, and what takes its place."""

    start: int
    end: int
    rank: int
    """Of two that overlap the lower rank stays: a key with a known form says more than "a literal named token"."""
    kind: str
    placeholder: str


class Source:
    """A text as bytes, one for each character: what is not ASCII is "?", so that positions are the text's own."""

    def __init__(self, text: str, python: bool = False) -> None:
        """Take a text, and whether it is one of Python."""
        self.text, self._python = text, python
        self.raw = text.encode("ascii", "replace")
        self.fold = self.raw.translate(_FOLD)

    @cached_property
    def is_code(self) -> bool:
        """Whether there are statements in it, as against an .env file, a log or a page of prose."""
        return _STATEMENT.search(self.raw) is not None

    def is_bare(self, at: int) -> bool:
        """Whether it is Python outside of comments and strings that stands at a position."""
        if not self._python:
            return False
        starts, ends = self._literals
        before = bisect_right(starts, at)
        return not before or at >= ends[before - 1]

    @cached_property
    def _literals(self) -> "tuple[array[int], array[int]]":
        starts, ends = array("q"), array("q")
        for match in LITERAL.finditer(self.text):
            starts.append(match.start())
            ends.append(match.end())
        return starts, ends


def at_edge(raw: bytes, start: int) -> bool:
    """Whether no word runs on into start: "n" before it does not where it belongs to the escape "\\n"."""
    before = raw[max(0, start - 2) : start]
    return _INSIDE.search(before) is None or before in (b"\\n", b"\\r", b"\\t")


def is_placeholder(value: bytes) -> bool:
    """Whether a value says of itself that it is none: "xxxx", "your-api-key", "changeme", "AKIA...EXAMPLE"."""
    return len(set(value)) < min(8, 1 + len(value) // 2) or _PLACEHOLDER.search(value) is not None


def is_words(value: bytes) -> bool:
    """Whether a value is made of words and short numbers ("oauth2_token-v1", "Token2WavConfig"), as names are."""
    return _WORDS.fullmatch(value) is not None or 3 * sum(map(len, _CAMEL.findall(value))) > 2 * len(value)


def is_chance(value: bytes) -> bool:
    """Whether chance may have chosen the rest of a key whose form is known."""
    if is_placeholder(value):
        return False
    return value.isupper() or not is_words(value) or mixture(value) >= len(value) / 5


def kinds_of(value: bytes) -> bytes:
    """Spell a value by the kinds of its characters: "Ab1!" is "Aa0-"."""
    return value.translate(_KINDS)


def mixture(value: bytes) -> int:
    """How often small letters, capitals, digits and signs take turns: about half the length where chance has chosen."""
    return len(_RUNS.findall(kinds_of(value))) - 1


def entropy(value: bytes) -> float:
    """Shannon's entropy of a value's bytes, in bits for each byte."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())
