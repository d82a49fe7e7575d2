"""tokenizer.json looked through before a library reads it: the library panics on some values, past `except Exception`.

What is let through is a byte-level BPE whose text comes back as it was; Unicode's NFC, which Qwen's has, is the one
exception.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers

from sprig.checkpoint.files import JSON_LIMIT, member, read_json
from sprig.data.tokenizer import CodeTokenizer

TOKENIZER = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"
_LIMIT = 64 << 20  # bytes; a vocabulary of 150,000 tokens takes 11 MB
_NEVER_IN_FILE = ("truncation", "padding")
_NEVER_IN_MODEL = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
_CUTS = ("Split", "Digits", "Punctuation")  # that only cut, unless they remove what they cut at
_POST_PROCESSORS = ("ByteLevel", "TemplateProcessing")
_PROBE = "".join(map(chr, range(128))) + "  \n\t\t x1234 x=='é' \u2211 漢字 🌱\r\n\r\n "


def read_tokenizer(directory: Path, vocab_size: int) -> CodeTokenizer:
    """Read the tokenizer of a model of vocab_size; ValueError, with file and reason, if it is not of our kind."""
    path = member(directory, TOKENIZER)
    values = read_json(path, _LIMIT)
    if (directory / _SETTINGS).exists():
        read_json(member(directory, _SETTINGS), JSON_LIMIT)
    if reason := _why_not(values):
        raise ValueError(f"{path} {reason}.")
    tokenizer = CodeTokenizer.load(path)
    model = values["model"]
    ids = {*model["vocab"].values(), *(token["id"] for token in values["added_tokens"])}
    if ids != set(range(tokenizer.vocab_size)):
        raise ValueError(f"{path} gives an id twice or leaves one out: they must run from 0 without a gap.")
    # Others round the model's vocabulary up, and leave the last of its tokens without a meaning.
    size = tokenizer.vocab_size
    if size > vocab_size or (tokenizer.own and size != vocab_size):
        raise ValueError(
            f"{path} has {size} tokens, but config.json says vocab_size={vocab_size}: they come from different models."
        )
    if missing := set(pre_tokenizers.ByteLevel.alphabet()) - model["vocab"].keys():
        raise ValueError(f"{path} has no token for {len(missing)} of the 256 bytes: it is no byte-level BPE.")
    if taken := [text for id, text in tokenizer.special.items() if id in tokenizer.encode(text)]:
        raise ValueError(f"{path} would take the text {taken[0]!r:.80} for the special token of that name.")
    if tokenizer.decode(tokenizer.encode(_PROBE)) != _PROBE:
        raise ValueError(f"{path} does not give back the text that it was given.")
    return tokenizer


def _why_not(values: Mapping[str, Any]) -> str | None:
    """What of a tokenizer.json is not let through."""
    model = values.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        kind = model.get("type") if isinstance(model, dict) else None
        return f"is no byte-pair encoding (model {kind!r:.80}): only a byte-level BPE can be read"
    for settings, names in ((values, _NEVER_IN_FILE), (model, _NEVER_IN_MODEL)):
        for name in names:
            if settings.get(name):
                return f"has a {name}: text would not come back as it was"
    if values.get("normalizer") not in (None, {"type": "NFC"}):
        return (
            f"has a normalizer, {values['normalizer']!r:.80}: text would not come back as it was (only NFC is let pass)"
        )
    cuts = _parts(values.get("pre_tokenizer"), "pretokenizers")
    if not any(_is(cut, "ByteLevel") for cut in cuts):
        return "does not cut text into bytes (it has no ByteLevel pre-tokenizer): only a byte-level BPE can be read"
    for cut in cuts:
        if not _is(cut, "ByteLevel", *_CUTS) or cut.get("behavior") == "Removed" or cut.get("add_prefix_space"):
            return f"has the pre-tokenizer {cut!r:.80}: text would not come back as it was"
    if not _is(values.get("decoder"), "ByteLevel"):
        return f"has the decoder {values.get('decoder')!r:.80}: only ByteLevel gives back the bytes"
    for processor in _parts(values.get("post_processor"), "processors"):
        if not _is(processor, *_POST_PROCESSORS):
            return f"has the post-processor {processor!r:.80}: only {' and '.join(_POST_PROCESSORS)} are let pass"
    return None


def _parts(value: Any, key: str) -> list[Any]:
    """The members of a Sequence, or the one thing that is not in one, or nothing."""
    if _is(value, "Sequence"):
        members = value.get(key)
        return members if isinstance(members, list) else [members]
    return [] if value is None else [value]


def _is(value: Any, *types: str) -> bool:
    return isinstance(value, dict) and value.get("type") in types
