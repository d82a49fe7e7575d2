"""Text to token ids and back: a byte-level BPE (Sennrich et al. 2016) whose pieces follow a program's lexemes.

Trained on the training split only. The file is tokenizer.json of the `tokenizers` library, which Hugging Face's
AutoTokenizer reads.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

PAD = "<|pad|>"
END_OF_TEXT = "<|endoftext|>"
SPECIAL_TOKENS = (PAD, END_OF_TEXT)
"""In the order of their ids: padding is 0. End of text closes every document and opens every row."""
FILL_IN_THE_MIDDLE = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>")
"""StarCoder's (arXiv:2305.06161), in the vocabulary of a run that trains on them."""
REPOSITORY = ("<repo_name>", "<file_sep>")
"""StarCoder2's (arXiv:2402.19173), likewise."""
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)

# Merges never cross these pieces, so a name, a number, an operator or a bracket is never glued to its neighbour.
# A name is cut at its underscores, which ride on the word that follows (`count`, `_words`; but `__init__`): otherwise
# `add_` would become a token and `add` alone would not. A leading space may ride on any piece, and a newline carries
# the indentation that follows it.
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
_KNOWN_PIECES = 200_000  # of two hundred bytes each or so


# Learning merges takes the square of a word's length, and a word of a megabyte for ever; no token is that long.
_LONG_RUN = re.compile(r"(\w{64})\w+|(\s{64})\s+")


class _Pieces(dict[str, tuple[int, ...]]):
    """The ids of pieces, each encoded when it is first asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = self[piece] = tuple(self._tokenizer.encode(piece, add_special_tokens=False).ids)
        return ids


class CodeTokenizer:
    """A trained vocabulary. Text that looks like a special token is text: only ids below say otherwise."""

    pad = 0
    end_of_text = 1

    def __init__(self, tokenizer: Tokenizer) -> None:
        # Not saved in tokenizer.json, so it must be set after every load: otherwise encode() turns the *text*
        # "<|endoftext|>" into the special token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._pieces = _Pieces(tokenizer)
        self._special = {id: token.content for id, token in tokenizer.get_added_tokens_decoder().items()}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, more_special: Sequence[str] = ()) -> "CodeTokenizer":
        """Learn merges from texts; ValueError if vocab_size is too small (256 bytes, 2 special tokens and more_special)
        or more than the texts support.
        """
        special = (*SPECIAL_TOKENS, *more_special)
        if vocab_size < 256 + len(special):
            raise ValueError(
                f"data.vocab_size={vocab_size} is too small: 256 bytes and {len(special)} special tokens "
                f"need at least {256 + len(special)}."
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_LEXEME), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        # With special tokens asked for, as AutoTokenizer does by default, a text opens with end of text: the
        # context that the model saw before every document.
        tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(
                    single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, cls.end_of_text)]
                ),
            ]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
        )
        tokenizer.train_from_iterator((_LONG_RUN.sub(r"\1\2", text) for text in texts), trainer)
        learnt = tokenizer.get_vocab_size()
        if learnt < vocab_size:
            raise ValueError(
                f"data.vocab_size={vocab_size} is more than the training split supports: its text has pairs for "
                f"{learnt} tokens. Set data.vocab_size={learnt} or less, or give more data."
            )
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> "CodeTokenizer":
        """Read a tokenizer.json; ValueError if it is none, or not one of ours (special tokens in their places)."""
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"{path} is not a tokenizer: {error}") from error
        for id, token in enumerate(SPECIAL_TOKENS):
            if tokenizer.token_to_id(token) != id:
                raise ValueError(f"{path} has no {token} at id {id}: it is not a tokenizer of Sprig's.")
        return cls(tokenizer)

    def save(self, directory: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, which AutoTokenizer.from_pretrained reads."""
        (directory / "tokenizer.json").write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "pad_token": PAD,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,  # text that looks like a special token stays text there as well
        }
        (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to vocab_size - 1."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and its merges: where it is the same, ids mean the same."""
        return hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()

    @property
    def token_bytes(self) -> list[int]:
        """UTF-8 bytes that each id adds to the text: the characters of a byte-level token, none for specials."""
        lengths = [0] * self.vocab_size
        for name, id in self._tokenizer.get_vocab().items():
            lengths[id] = 0 if id in self._special else len(name)
        return lengths

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone, no special token among them."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def special_id(self, token: str) -> int:
        """The id of a special token that this vocabulary was trained with."""
        return next(id for id, name in self._special.items() if name == token)

    def encode_all(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """Ids of each text, no special token among them."""
        return (ids for ids, _ in self.encode_from((text, 0) for text in texts))

    def encode_from(self, texts: Iterable[tuple[str, int]]) -> Iterator[tuple[list[int], int]]:
        """For each (text, character) its ids, and the number of tokens that start before that character."""
        for text, character in texts:
            yield self._from_pieces(text, character) if text.isascii() else self._from_library(text, character)

    def _from_library(self, text: str, character: int) -> tuple[list[int], int]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, sum(start < character for start, _ in encoding.offsets) if character else 0

    def _from_pieces(self, text: str, character: int) -> tuple[list[int], int]:
        """The same, three times as fast: no merge crosses a piece, and the same pieces come again and again."""
        pieces = _ASCII_LEXEME.findall(text)
        if len(self._pieces) > _KNOWN_PIECES:
            self._pieces.clear()
        before, length = 0, 0
        for piece in pieces if character else ():
            if length >= character:
                break
            length += len(piece)
            before += len(self._pieces[piece])
        if length > character:  # it lies within a piece, whose tokens have to be told apart
            return self._from_library(text, character)
        return list(chain.from_iterable(map(self._pieces.__getitem__, pieces))), before

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; bytes that are no UTF-8 show as U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Each id as text for people to read: special tokens by name, broken characters as U+FFFD."""
        return [self._special.get(id) or self.decode([id]) for id in ids]
