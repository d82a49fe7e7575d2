"""SPDX licence expressions: what they name, and whether a set of licences satisfies them.

The form is that of the SPDX specification, annex "SPDX license expressions".
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

_WORD = re.compile(r"\s*(\(|\)|[A-Za-z0-9][\w.:+-]*)", re.A)
_MAX_WORDS, _MAX_LENGTH = 100, 1_000  # characters: longer ones are texts, and each may become a line of the funnel
FAMILY = re.compile(r"(?:-only|-or-later|\+)$")
"""What follows the name that all versions of one licence share."""


def family(name: str) -> str:
    """The name without what says which versions hold: gpl-2.0 for GPL-2.0-or-later."""
    return FAMILY.sub("", name).lower()


def _words_of(expression: str) -> list[str]:
    words: list[str] = []
    at = 0
    expression = expression.strip()
    if len(expression) > _MAX_LENGTH:
        return []
    while at < len(expression):
        match = _WORD.match(expression, at)
        if match is None or len(words) == _MAX_WORDS:
            return []
        words.append(match[1])
        at = match.end()
    return words


def ids_of(expression: str) -> list[str]:
    """The licences that the expression names, exceptions left out."""
    words = _words_of(expression)
    behind = ["", *(word.upper() for word in words)]
    return [
        word
        for word, before in zip(words, behind, strict=False)
        if word not in "()" and word.upper() not in ("AND", "OR", "WITH") and before != "WITH"
    ]


def all_of(expressions: Collection[str]) -> str:
    """The expression that says that all of these hold; "" of none."""
    if len(expressions) < 2:
        return "".join(expressions)
    return " AND ".join(f"({each})" if "OR" in map(str.upper, _words_of(each)) else each for each in expressions)


def is_expression(expression: str) -> bool:
    """Whether it has the form of one; its names need not be known."""
    return satisfied(expression, frozenset()) is not None


@lru_cache(maxsize=1024)
def satisfied(expression: str, names: frozenset[str]) -> bool | None:
    """Whether names satisfy the expression; None where it is none."""
    words = _words_of(expression)
    words.reverse()  # the next word is the last
    value = _either(words, names)
    return None if words else value


def _either(words: list[str], names: frozenset[str]) -> bool | None:
    return _joined("OR", any, _both, words, names)


def _both(words: list[str], names: frozenset[str]) -> bool | None:
    return _joined("AND", all, _one, words, names)


def _joined(
    word: str,
    hold: Callable[[Iterable[bool]], bool],
    part: Callable[[list[str], frozenset[str]], bool | None],
    words: list[str],
    names: frozenset[str],
) -> bool | None:
    """The value of parts with the word between them; None where one of them is none."""
    values = [part(words, names)]
    while values[-1] is not None and words and words[-1].upper() == word:
        words.pop()
        values.append(part(words, names))
    return None if values[-1] is None else hold(map(bool, values))


def _one(words: list[str], names: frozenset[str]) -> bool | None:
    word = words.pop() if words else ""
    if word == "(":
        value = _either(words, names)
        return value if words and words.pop() == ")" else None
    if not word or word == ")" or word.upper() in ("AND", "OR", "WITH"):
        return None
    if words and words[-1].upper() == "WITH":
        words.pop()
        if not words or words.pop() in "()":
            return None
    return family(word) in names
