"""Python that teaches little: mostly comments, imports, stubs, prints or repetition. Only for language "python".

Where it stands: one module of `sprig.data.cleaning.filters`. The rules and all thresholds named here are OpenCoder's
(arXiv:2411.04905, appendix A; the numbers from its published code_filter_config.py). How things are counted is ours:
OpenCoder parses, and takes "password" for a `pass`. Nothing is parsed here, for a parser may take minutes over one
line: a regular expression takes comments and strings out, and statements are told by the words their lines begin with.

A line of code is a line on which something is left without its comments and docstrings (strings in three quotes that
begin a line). Every share is in [0, 1], and of the lines of code where nothing else is said.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from sprig.data.cleaning.literals import LITERAL
from sprig.data.documents import Document

_DEFINITION = re.compile(r"(?:async[ \t]+)?def\b")
_CLASS = re.compile(r"class\b")
_IMPORT = re.compile(r"import\b|from\b.*\bimport\b")
_RETURN = re.compile(r"return\b")
_PASS = re.compile(r"pass\b|(?:async[ \t]+def|def|class)\b.*:[ \t]*pass\b")
_PRINT = re.compile(r"print\b")
_ASSERT = re.compile(r"assert\b|self\.assert\w+[ \t]*\(")
_ASSIGNMENT = re.compile(r"[\w.,*\[\] \t]+(?::[^=()]+)?(?:[-+/@&|^%]|//|\*\*|<<|>>)?=(?!=)")
_SIMPLE = re.compile(r"(?:async[ \t]+)?def\b.*:[ \t]*return\b")


@dataclass(frozen=True, slots=True)
class _Source:
    """A text taken apart."""

    lines: list[str]
    """The lines of code, without indentation, a pair of quotes for each string."""
    comments: int
    """Characters in comments and docstrings."""
    strings: int
    """Characters in all other strings."""


@lru_cache(maxsize=1)  # the filters of this module are asked about a text one after the other
def _source(text: str) -> _Source:
    comments = strings = 0

    def emptied(match: re.Match[str]) -> str:
        nonlocal comments, strings
        literal, start = match[0], match.start()
        if literal[0] != "#":
            # Looks no further back than an indentation goes: a line may be the whole file.
            before = text[max(start - 100, 0) : start].rpartition("\n")[2]
            if not literal.startswith(('"""', "'''")) or before.strip(" \trRuU"):
                strings += len(literal)
                return '""'
        comments += len(literal)
        return ""

    bare = LITERAL.sub(emptied, text)
    return _Source([line for line in map(str.strip, bare.split("\n")) if line], comments, strings)


def _count(pattern: re.Pattern[str], lines: list[str]) -> int:
    return sum(map(bool, map(pattern.match, lines)))


def _share_of_lines(what: str, count: Callable[[list[str]], int]) -> Callable[[Document, float], str | None]:
    """A filter that drops Python of which over a share of the lines of code is what is counted."""

    def judge(document: Document, threshold: float) -> str | None:
        if document.language != "python":
            return None
        lines = _source(document.text).lines
        return f"over {threshold:.0%} {what}" if count(lines) > threshold * len(lines) else None

    return judge


def comment_share(document: Document, threshold: float) -> str | None:
    """The share of characters in comments and docstrings. OpenCoder: 0.8."""
    if document.language != "python":
        return None
    source = _source(document.text)
    return f"over {threshold:.0%} comments" if source.comments > threshold * len(document.text) else None


def string_share(document: Document, threshold: float) -> str | None:
    """The share of characters in strings, comments and docstrings left out of both. OpenCoder: 0.6."""
    if document.language != "python":
        return None
    source = _source(document.text)
    code = len(document.text) - source.comments
    return f"over {threshold:.0%} strings" if source.strings > threshold * code else None


def min_assignments(document: Document, threshold: int) -> str | None:
    """The number of lines that assign something, from below. OpenCoder drops what has no variable at all: 1."""
    if document.language != "python":
        return None
    return f"under {threshold:,} assignments" if _count(_ASSIGNMENT, _source(document.text).lines) < threshold else None


def _simple_functions(lines: list[str]) -> int:
    """Functions that are one return: it stands on the line of the header, or on the next."""
    one_line = _count(_SIMPLE, lines)
    return one_line + sum(
        bool(below.startswith("return") and above.endswith(":") and (above[0] == ")" or _DEFINITION.match(above)))
        for above, below in pairwise(lines)
    )


def _without_logic(lines: list[str]) -> int:
    """Lines that only declare, import or return. OpenCoder adds the assignments in a class's body."""
    return sum(_count(pattern, lines) for pattern in (_DEFINITION, _CLASS, _IMPORT, _RETURN))


def _repeated(lines: list[str]) -> int:
    """Lines that stand in the file more than once, a lone bracket not counted."""
    return sum(times for line, times in Counter(lines).items() if times > 1 and len(line) > 2)


FILTERS = {
    "python_comment_share": comment_share,
    "python_string_share": string_share,
    "python_min_assignments": min_assignments,
    "python_function_share": _share_of_lines("function headers", lambda lines: _count(_DEFINITION, lines)),
    "python_simple_function_share": _share_of_lines("functions of one return", _simple_functions),
    "python_pass_share": _share_of_lines("pass", lambda lines: _count(_PASS, lines)),
    "python_import_share": _share_of_lines("imports", lambda lines: _count(_IMPORT, lines)),
    "python_print_share": _share_of_lines("prints", lambda lines: _count(_PRINT, lines)),
    "python_assert_share": _share_of_lines("assertions", lambda lines: _count(_ASSERT, lines)),
    "python_no_logic_share": _share_of_lines("lines without logic", _without_logic),
    "python_repeated_share": _share_of_lines("repeated lines", _repeated),
}
"""OpenCoder's thresholds: 0.8, 0.6, 1, 0.2, 0.1, 0.05, 0.3, 0.4, 0.4, 0.5 (which drops 4 of 5) and 0.7."""
