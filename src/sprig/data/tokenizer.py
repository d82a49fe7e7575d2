"""Text to token ids and back: a byte-level BPE (Sennrich et al. 2016), learnt here or come with another's model.

One that is learnt here follows a program's lexemes (`sprig.data.lexemes`) and has seen the training split only. The
file is tokenizer.json of the `tokenizers` library, which Hugging Face's AutoTokenizer reads.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from sprig.data import lexemes

PAD = "<|pad|>"
END_OF_TEXT = "<|endoftext|>"
SPECIAL_TOKENS = (PAD, END_OF_TEXT)
"""In the order of their ids: padding is 0. End of text closes every document and opens every row."""
FILL_IN_THE_MIDDLE = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>")
"""StarCoder's (arXiv:2305.06161), in the vocabulary of a run that trains on them."""
REPOSITORY = ("<repo_name>", "<file_sep>")
"""StarCoder2's (arXiv:2402.19173), likewise."""
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)

# What other families call the same: Llama 3; Qwen2.5-Coder (arXiv:2409.12186); DeepSeek-Coder (arXiv:2401.14196).
_OTHER_NAMES = {
    END_OF_TEXT: ("<|end_of_text|>",),
    "<fim_prefix>": ("<|fim_prefix|>", "<｜fim▁begin｜>"),
    "<fim_middle>": ("<|fim_middle|>", "<｜fim▁end｜>"),
    "<fim_suffix>": ("<|fim_suffix|>", "<｜fim▁hole｜>"),
    "<repo_name>": ("<|repo_name|>",),
    "<file_sep>": ("<|file_sep|>",),
}

_AT_ONCE = 1 << 12
"""Characters that the library is given at once: it keeps many times a text while it cuts it, and takes 256 of them."""
# Learning merges takes the square of a word's length, and a word of a megabyte for ever; no token is that long. To \w
# belong no marks that combine with a letter, and to a lexeme they do.
_LONG_RUN = re.compile(r"([\w\x80-\U0010ffff]{64})[\w\x80-\U0010ffff]+|(\s{64})\s+")


def id_type(vocab_size: int) -> type[np.unsignedinteger]:
    """The smallest type that holds every id."""
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


class CodeTokenizer:
    """A vocabulary. Text that looks like a special token is text: only the ids below say otherwise."""

    def __init__(self, tokenizer: Tokenizer, declared: Mapping[str, Any] | None = None) -> None:
        """declared is what tokenizer_config.json says; ValueError if no token ends a text."""
        # Not saved in tokenizer.json, so it must be set after every load: otherwise encode() turns the *text*
        # "<|endoftext|>" into the special token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self.special = {id: token.content for id, token in added.items() if token.special}
        self._ids = {name: id for id, name in self.special.items()}
        self.own = lexemes.cuts(tokenizer) and len(self.special) == len(added)
        """Whether it is of the kind that `train` learns."""
        self.id_type = id_type(self.vocab_size)
        self._lexemes = lexemes.Lexemes(tokenizer, self.id_type) if self.own else None
        end_of_text = self._find(END_OF_TEXT)
        if end_of_text is None:
            end_of_text = self._declared(declared, "eos_token")
        if end_of_text is None:
            raise ValueError(f"it has no token that ends a text, neither {END_OF_TEXT} nor one declared as eos_token")
        self.end_of_text: int = end_of_text
        """Closes every document."""
        front = [id for id in tokenizer.encode("a").ids[:1] if id in self.special]
        self.opening: int = front[0] if front else end_of_text
        """Opens every row and every context: what AutoTokenizer puts before a text, else the end of the one before."""
        pad = self._ids.get(PAD, self._declared(declared, "pad_token"))
        self.pad: int = end_of_text if pad is None else pad
        """Named in the files for others; no model of ours ever looks at padding."""

    def _declared(self, declared: Mapping[str, Any] | None, role: str) -> int | None:
        """The special token that tokenizer_config.json gives a role, by its name or as an object that has it."""
        token = (declared or {}).get(role)
        name = token.get("content") if isinstance(token, Mapping) else token
        return self._ids.get(name) if isinstance(name, str) else None

    def _find(self, token: str) -> int | None:
        names = (token, *_OTHER_NAMES.get(token, ()))
        return next((self._ids[name] for name in names if name in self._ids), None)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, more_special: Sequence[str] = ()) -> "CodeTokenizer":
        """Learn merges from texts until there are vocab_size tokens, or no pair is left that occurs twice.

        ValueError if vocab_size is too small: it has to hold 256 bytes, 2 special tokens and more_special.
        """
        special = (*SPECIAL_TOKENS, *more_special)
        if vocab_size < 256 + len(special):
            raise ValueError(
                f"data.vocab_size={vocab_size} is too small: 256 bytes and {len(special)} special tokens "
                f"need at least {256 + len(special)}."
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = lexemes.pre_tokenizer()
        tokenizer.decoder = decoders.ByteLevel()
        # With special tokens asked for, as AutoTokenizer does by default, a text opens with end of text: the
        # context that the model saw before every document.
        tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(
                    single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, SPECIAL_TOKENS.index(END_OF_TEXT))]
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
        shortened = (_LONG_RUN.sub(r"\1\2", text) for text in texts)
        tokenizer.train_from_iterator(
            chain.from_iterable(lexemes.stretches(text, _AT_ONCE) for text in shortened), trainer
        )
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> "CodeTokenizer":
        """Read a tokenizer.json, and what tokenizer_config.json beside it says; ValueError if it is no tokenizer.

        What was added to a vocabulary is special, whatever the file says, but for runs of spaces: Qwen's
        <|fim_prefix|> is not, and would then be found in text.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            for token in values["added_tokens"]:
                token["special"] = token["special"] or not token["content"].isspace()
            settings = path.with_name("tokenizer_config.json")
            declared = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
            return cls(Tokenizer.from_str(json.dumps(values)), declared)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"{path} is not a tokenizer: {error}") from error

    def save(self, directory: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, which AutoTokenizer.from_pretrained reads."""
        (directory / "tokenizer.json").write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.special[self.opening],
            "eos_token": self.special[self.end_of_text],
            "pad_token": self.special[self.pad],
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
        """SHA-256 of the vocabulary, its merges and what ends a text: where it is the same, ids mean the same."""
        return hashlib.sha256(f"{self._tokenizer.to_str()}{self.end_of_text}".encode()).hexdigest()

    @property
    def token_bytes(self) -> list[int]:
        """UTF-8 bytes that each id adds to the text: the characters of a byte-level token, none for specials."""
        lengths = [0] * self.vocab_size
        for name, id in self._tokenizer.get_vocab().items():
            lengths[id] = 0 if id in self.special else len(name)  # added spaces stand as they are: a byte each as well
        return lengths

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone, no special token among them."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def special_id(self, token: str) -> int:
        """The id of a special token that this vocabulary has, under our name or another family's."""
        id = self._find(token)
        assert id is not None, f"no {token} in this vocabulary"
        return id

    def lacks(self, tokens: Iterable[str]) -> list[str]:
        """Those of our special tokens that this vocabulary has under no name."""
        return [token for token in tokens if self._find(token) is None]

    def encode_all(self, texts: Iterable[str]) -> Iterator[NDArray[np.unsignedinteger]]:
        """Ids of each text, of id_type, no special token among them."""
        return (ids for ids, _ in self.encode_from((text, 0) for text in texts))

    def encode_from(self, texts: Iterable[tuple[str, int]]) -> Iterator[tuple[NDArray[np.unsignedinteger], int]]:
        """For each (text, character) its ids, and the number of tokens that start before that character."""
        for text, character in texts:
            known = self._lexemes.encode(text, character) if self._lexemes is not None else None
            yield known or self._from_library(text, character)

    def _from_library(self, text: str, character: int) -> tuple[NDArray[np.unsignedinteger], int]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        before = sum(start < character for start, _ in encoding.offsets) if character else 0
        return np.array(encoding.ids, self.id_type), before

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; bytes that are no UTF-8 show as U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Each id as text for people to read: special tokens by name, broken characters as U+FFFD."""
        return [self.special.get(id) or self.decode([id]) for id in ids]
