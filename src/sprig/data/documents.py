"""The first plain values on the way data takes: a piece of source code, and the count of what was left out."""

from collections import Counter
from dataclasses import dataclass, field, fields
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Document:
    """One piece of source code, the unit that is split, tokenised and packed."""

    text: str
    path: str
    """Where it comes from, as a user would look for it: "os.py:join", "pkg/io.py"."""
    group: str
    """Documents of one group never stand on both sides of the split (a file's functions, a header's variants)."""
    header: int = 0
    """Length in characters of the function header that text starts with, its colon included; 0 where there is none."""
    concept: str = ""
    """The concept that can run and judge this function; "" for real code."""
    language: str = ""
    """By the table of sprig.data.languages: "python"; "" where it is not known."""
    license: str = ""
    """SPDX expression ("MIT", "Apache-2.0 OR BSD-3-Clause") of the code that it comes with; "" where none is known."""

    @classmethod
    def of(cls, values: object) -> "Document":
        """What `values` has given, back from JSON; ValueError for anything else."""
        if not isinstance(values, list) or list(map(type, values)) != _TYPES:
            raise ValueError("no document is of this form")
        return cls(*values)

    def values(self) -> tuple[str | int, ...]:
        """The fields in their order, as JSON keeps them; `dataclasses.astuple` copies each of them by recursion."""
        return _values(self)


_TYPES = [str, str, str, int, str, str, str]
_values = attrgetter(*(each.name for each in fields(Document)))


@dataclass(slots=True)
class Skips:
    """What was left out on the way, by reason: nothing is dropped without being counted here."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """The first path that was left out for each reason, as it is: whoever shows it redacts it before."""

    def add(self, reason: str, path: str, count: int = 1) -> None:
        """Count what stands at path as left out for reason (a few words, lower case: "not UTF-8")."""
        self.counts[reason] += count
        self.examples.setdefault(reason, path)

    def __add__(self, later: "Skips") -> "Skips":
        return Skips(self.counts + later.counts, later.examples | self.examples)


def printable(path: str) -> str:
    """The path as one line that a terminal can show: the end of it where it is long, and escapes for what is unseen."""
    shown = "".join(c if c.isprintable() else _escaped(c) for c in path[-200:])
    return "..." + shown if len(path) > 200 else shown


def _escaped(character: str) -> str:
    # A byte of a file's name that is not UTF-8 comes as a lone surrogate (PEP 383).
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
