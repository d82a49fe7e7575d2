"""How a vocabulary that is learnt here cuts text: a byte-level pair never crosses a program's lexeme.

So a name, a number, an operator or a bracket is never glued to its neighbour. A name is cut at its underscores, which
ride on the word that follows (`count`, `_words`; but `__init__`): otherwise `add_` would become a token and `add` alone
would not. A leading space may ride on any piece, and a newline carries the indentation that follows it.
"""

import re
from collections.abc import Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, pre_tokenizers

_LEXEME = (
    r"\r?\n[ \t]*"
    r"| ?_*\p{L}[\p{L}\p{M}\p{N}]*(?:__(?![\p{L}\p{N}]))?"
    r"| ?\p{N}{1,3}"
    r"| ?(?:\*\*=|//=|>>=|<<=|\.\.\.|===|!==|&&|\|\||\+\+|--|=>|::|->|:=|\*\*|//|<<|>>|[-+*/%&|^@=!<>]=)"
    r"| ?[^\s\p{L}\p{N}]"
    r"|[ \t]+"
    r"|\s+"
)

# The same cut for text that is ASCII, in Python's own library.
_ASCII_LEXEME = re.compile(
    _LEXEME.replace(r"\p{L}\p{M}\p{N}", "a-zA-Z0-9")
    .replace(r"\p{L}\p{N}", "a-zA-Z0-9")
    .replace(r"\p{L}", "[a-zA-Z]")
    .replace(r"\p{N}", "[0-9]"),
    re.ASCII,
)
# Where a lexeme surely ends: before a line end that follows a sign of ASCII, since a lexeme has white space only at its
# start. Behind other characters it may not end, for some of them are white space too.
_LINE_END = re.compile(r"(?<=[!-~])(?=\n)")
_KNOWN_PIECES, _LONGEST_KNOWN = 200_000, 256  # of two hundred bytes each or so; longer ones seldom come again


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """The cut as the `tokenizers` library makes it."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LEXEME), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def cuts(tokenizer: Tokenizer) -> bool:
    """Whether this is how tokenizer cuts text, with nothing done to the text before."""
    cut = tokenizer.pre_tokenizer
    same = cut is not None and cut.__getstate__() == pre_tokenizer().__getstate__()
    return same and tokenizer.normalizer is None


class Lexemes(dict[str, bytes]):
    """The ids of lexemes as they stand in an array, each encoded once: most come again and again."""

    def __init__(self, tokenizer: Tokenizer, dtype: type[np.unsignedinteger]) -> None:
        """dtype is that of the arrays."""
        self._tokenizer, self._dtype = tokenizer, np.dtype(dtype)

    def __missing__(self, piece: str) -> bytes:
        ids = np.array(self._tokenizer.encode(piece, add_special_tokens=False).ids, self._dtype).tobytes()
        if piece.isascii() and len(piece) <= _LONGEST_KNOWN:  # others are whole lines, which seldom come again
            self[piece] = ids
        return ids

    def encode(self, text: str, character: int) -> tuple[NDArray[np.unsignedinteger], int] | None:
        """Ids of the text and the number of them before a character, three times as fast as the library.

        None where the character lies within a piece, whose tokens have to be told apart.
        """
        pieces = _pieces(text)
        if len(self) > _KNOWN_PIECES:
            self.clear()
        before, length = 0, 0
        for piece in pieces if character else ():
            if length >= character:
                break
            length += len(piece)
            before += len(self[piece]) // self._dtype.itemsize
        if length > character:
            return None
        return np.frombuffer(b"".join(map(self.__getitem__, pieces)), self._dtype), before


def stretches(text: str, size: int) -> Iterator[str]:
    """The text in parts of size characters or somewhat more, cut where a lexeme surely ends."""
    start = 0
    while end := _LINE_END.search(text, start + size):
        yield text[start : end.start()]
        start = end.start()
    yield text[start:]


def _pieces(text: str) -> list[str]:
    """The lexemes of a text, but lines in one piece that are not ASCII: the library knows how to cut those."""
    if text.isascii():
        return _ASCII_LEXEME.findall(text)
    pieces = list[str]()
    for ascii, lines in groupby(_LINE_END.split(text), str.isascii):
        stretch = "".join(lines)
        pieces += _ASCII_LEXEME.findall(stretch) if ascii else [stretch]
    return pieces
