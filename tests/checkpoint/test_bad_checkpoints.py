"""Nothing that a stranger has put into a checkpoint directory is trusted: it is refused at once, with the reason."""

import json
import math
import os
import pickle
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoint.example import TEXT, VOCABULARY
from sprig.checkpoint import load, write_manifest
from sprig.data.tokenizer import CodeTokenizer

Change = Callable[[Path], None]


def remove(name: str) -> Change:
    return lambda directory: (directory / name).unlink()


def write(name: str, content: bytes | str) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(data) and None


def sealed(change: Change) -> Change:
    """The change, with a manifest that vouches for it: what someone does who means it."""

    def both(directory: Path) -> None:
        change(directory)
        write_manifest(directory)

    return both


def config(**changes: Any) -> Change:
    def change(directory: Path) -> None:
        path = directory / "config.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))

    return sealed(change)


def tokenizer(**changes: Any) -> Change:
    def change(directory: Path) -> None:
        path = directory / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return sealed(change)


def bpe(**changes: Any) -> Change:
    def change(directory: Path) -> None:
        model = json.loads((directory / "tokenizer.json").read_text())["model"] | changes
        tokenizer(model={key: value for key, value in model.items() if value is not ...})(directory)

    return change


def manifest(without: str = "", files: Mapping[str, Any] | None = None) -> Change:
    """A manifest that is true but for one file left out, and some put in."""

    def change(directory: Path) -> None:
        path = directory / "manifest.json"
        listed = json.loads(path.read_text())["files"] | (files or {})
        listed.pop(without, None)
        path.write_text(json.dumps({"files": listed}))

    return change


def linked(name: str) -> Change:
    """The same bytes, reached by a link that leads out of the directory."""

    def change(directory: Path) -> None:
        (directory / name).rename(directory.parent / "elsewhere")
        (directory / name).symlink_to(directory.parent / "elsewhere")

    return change


def pickled(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    torch.save({}, directory / "pytorch_model.bin")


def zipped(directory: Path) -> None:
    with zipfile.ZipFile(directory / "model.safetensors", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({}))


def weights(**changes: torch.Tensor | None) -> Change:
    def change(directory: Path) -> None:
        path = directory / "model.safetensors"
        tensors = load_file(path) | {name.replace("__", "."): weight for name, weight in changes.items()}
        save_file({name: weight for name, weight in tensors.items() if weight is not None}, path)

    return sealed(change)


def cut(directory: Path) -> None:
    os.truncate(directory / "model.safetensors", (directory / "model.safetensors").stat().st_size - 4)


def flip_a_bit(directory: Path) -> None:
    data = bytearray((directory / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (directory / "model.safetensors").write_bytes(data)


def pipe(name: str) -> Change:
    def change(directory: Path) -> None:
        (directory / name).unlink()
        os.mkfifo(directory / name)

    return change


def other_tokenizer(directory: Path) -> None:
    CodeTokenizer.train([TEXT] * 2, VOCABULARY - 1).save(directory)


FINGERPRINT = {"size": 0, "sha256": ""}
BAD: dict[str, tuple[Change, str]] = {
    # files
    "no weights": (remove("model.safetensors"), "has no model.safetensors"),
    "no config": (remove("config.json"), "has no config.json"),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer.json"),
    "no facts": (remove("sprig.json"), "has no file 'sprig.json'"),
    "no manifest": (remove("manifest.json"), "has no manifest.json"),
    "a pipe for a file": (pipe("config.json"), "has no config.json"),
    "a pipe for the facts": (pipe("sprig.json"), "has no file 'sprig.json'"),
    "altered weights": (flip_a_bit, "model.safetensors is not the file that manifest.json lists"),
    "cut weights": (cut, "model.safetensors is not the file that manifest.json lists"),
    "altered facts": (write("sprig.json", "{}"), "sprig.json is not the file"),
    "altered settings of others": (write("tokenizer_config.json", "{}"), "tokenizer_config.json is not the"),
    "a link to weights elsewhere": (linked("model.safetensors"), "leads out of"),
    "a link to a config elsewhere": (linked("config.json"), "leads out of"),
    "a link to a manifest elsewhere": (linked("manifest.json"), "leads out of"),
    # manifest
    "manifest: above": (manifest(files={"../x": FINGERPRINT}), "only list files beside itself"),
    "manifest: parent": (manifest(files={"..": FINGERPRINT}), "only list files beside itself"),
    "manifest: absolute": (manifest(files={"/etc/passwd": FINGERPRINT}), "only list files beside itself"),
    "manifest: NUL": (manifest(files={"a\0b": FINGERPRINT}), "has no file"),
    "manifest: not there": (manifest(files={"x": FINGERPRINT}), "has no file 'x'"),
    "manifest: facts not listed": (manifest(without="sprig.json"), "does not list sprig.json"),
    "manifest: no entry": (manifest(files={"config.json": None}), "config.json is not the file"),
    "manifest: no list": (write("manifest.json", '{"files": []}'), "lists no files"),
    "manifest: empty list": (write("manifest.json", '{"files": {}}'), "does not list model.safetensors"),
    "manifest: no JSON": (write("manifest.json", "sha256"), "manifest.json is not JSON"),
    # weights
    "a pickle beside no weights": (pickled, "pytorch_model.bin.*pickles can run code and are never read"),
    "a pickle as weights": (sealed(write("model.safetensors", pickle.dumps({}))), "pickle.*never read"),
    "a zip as weights": (sealed(zipped), "no safetensors file.*pickle"),
    "nothing as weights": (sealed(write("model.safetensors", b"")), "no safetensors file"),
    "cut weights, sealed": (sealed(cut), "no safetensors file"),
    "a tensor missing": (weights(model__norm__weight=None), "has no model.norm.weight"),
    "a tensor too many": (weights(model__layers__9__x=torch.ones(2)), "'model.layers.9.x', for which"),
    "another head than the tied one": (
        weights(lm_head__weight=torch.ones(VOCABULARY, 32)),
        "lm_head.weight is not model.embed_tokens.weight",
    ),
    "a tied head of another shape": (weights(lm_head__weight=torch.ones(2)), r"lm_head.weight is \[2\], but"),
    "weights that are not finite": (weights(model__norm__weight=torch.full((32,), math.nan)), "is not finite"),
    "another shape": (
        weights(model__norm__weight=torch.ones(33)),
        r"is \[33\], but config.json asks for \[32\]",
    ),
    "integers": (weights(model__norm__weight=torch.ones(32, dtype=torch.int8)), "stored as I8"),
    # JSON
    "config: no JSON": (sealed(write("config.json", "model: !!python")), "config.json is not JSON"),
    "config: no UTF-8": (sealed(write("config.json", b'{"a": "\xff"}')), "config.json is not JSON"),
    "config: NaN": (sealed(write("config.json", '{"rope_theta": NaN}')), "NaN is no number"),
    "config: no object": (sealed(write("config.json", "[]")), "must hold a JSON object, not list"),
    "config: nested": (sealed(write("config.json", "[" * 100_000)), "config.json is not JSON"),
    "config: nested value": (config(rope_scaling=json.loads("[" * 500 + "]" * 500)), "rope_scaling is"),
    "config: long number": (sealed(write("config.json", "9" * 5000)), "config.json is not JSON"),
    "config: too long": (sealed(write("config.json", " " * 10_000_001)), "over 10,000,000 bytes"),
    "facts: too long": (sealed(write("sprig.json", " " * 10_000_001)), "over 10,000,000 bytes"),
    "facts: no object": (sealed(write("sprig.json", "null")), "must hold a JSON object"),
    # tokenizer
    "tokenizer: no JSON": (sealed(write("tokenizer.json", "x")), "tokenizer.json is not JSON"),
    "tokenizer: no model": (sealed(write("tokenizer.json", "{}")), "no byte-pair encoding"),
    "tokenizer: no vocabulary": (bpe(vocab=...), "is not a tokenizer"),
    "tokenizer: a panic in a normalizer": (
        tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": ""}),
        "has a normalizer",
    ),
    "tokenizer: a panic in a prefix": (bpe(continuing_subword_prefix="é"), "has a continuing_subword_prefix"),
    "tokenizer: merges by chance": (bpe(dropout=0.5), "has a dropout"),
    "tokenizer: an id beyond the rest": (bpe(vocab={"<|pad|>": 0, "<|endoftext|>": 1, "a": 3}, merges=[]), "gap"),
    "tokenizer: an id twice": (bpe(vocab={"<|pad|>": 0, "<|endoftext|>": 1, "a": 1}, merges=[]), "twice"),
    "tokenizer: no special tokens": (tokenizer(added_tokens=[], post_processor=None), "no token that ends a text"),
    "tokenizer: too long": (sealed(write("tokenizer.json", b" " * (65 << 20))), "over 67,108,864 bytes"),
    "tokenizer: of another model": (
        sealed(other_tokenizer),
        "269 tokens, but config.json says vocab_size=270",
    ),
    # numbers in the config
    "a size missing": (config(hidden_size=...), "hidden_size is None"),
    "a head size missing": (config(head_dim=...), "head_dim is None"),
    "true for a number": (config(num_hidden_layers=True), "num_hidden_layers is True: it must be an integer"),
    "a string for a number": (config(hidden_size="32"), "hidden_size is '32'"),
    "a fraction for an integer": (config(hidden_size=32.0), "hidden_size is 32.0"),
    "zero heads": (config(num_attention_heads=0), "num_attention_heads is 0"),
    "negative vocabulary": (config(vocab_size=-1), "vocab_size is -1"),
    "10**12 layers": (config(num_hidden_layers=10**12), "num_hidden_layers is 1000000000000"),
    "more layers than stored": (config(num_hidden_layers=4), "has no model.layers.3"),
    "a width of terabytes": (config(hidden_size=1 << 17, intermediate_size=1 << 20), "asks for"),
    "a table of gigabytes": (config(max_position_embeddings=1 << 21, head_dim=4096), "table of positions"),
    "an infinite theta": (config(rope_theta=math.inf), "Infinity is no number"),
    "a theta beyond floats": (
        sealed(write("config.json", '{"model_type": "qwen3", "rms_norm_eps": 1e999}')),
        "is None",
    ),
    "no theta": (config(rope_theta=0.0), "rope_theta is 0.0"),
    "a negative theta": (config(rope_theta=-1.0), "rope_theta is -1.0"),
    "theta twice": (config(rope_theta=20.0), "rope_theta is given twice, as 20.0 and 10000.0"),
    "a long theta": (config(rope_theta=10**400, rope_parameters=None), "rope_theta is 1000000"),
    "true for a fraction": (config(rms_norm_eps=True), "rms_norm_eps is True"),
    "a number for a switch": (config(tie_word_embeddings=1), "tie_word_embeddings is 1: it must be true or"),
    "heads that do not divide": (config(num_key_value_heads=3), "no multiple of"),
    # models that are not ours
    "an unknown model": (config(model_type="gpt2"), "model_type is 'gpt2': only qwen3, qwen2, llama"),
    "no model type": (config(model_type=...), "model_type is None"),
    "a list for a model type": (config(model_type=["qwen3"]), "model_type is"),
    "another activation": (config(hidden_act="gelu"), "hidden_act is 'gelu'"),
    "a bias on o_proj": (config(attention_bias=True), "attention_bias is true.*o_proj"),
    "a bias in the MLP": (config(mlp_bias=True, model_type="llama"), "mlp_bias is true"),
    "a sliding window": (config(use_sliding_window=True, sliding_window=8), "sliding-window"),
    "a sliding layer": (config(layer_types=["full_attention", "sliding_attention"]), "sliding-window"),
    "linear rope": (config(rope_scaling={"type": "linear", "factor": 2.0}), "rope_scaling is"),
    "yarn rope": (
        config(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}),
        "only the types default and llama3",
    ),
    "part of a head turned": (config(partial_rotary_factor=0.5), "partial_rotary_factor"),
    "rope by layer type": (
        config(rope_parameters={"full_attention": {"rope_theta": 1e6}}),
        "rope_parameters is",
    ),
    "a list for rope": (config(rope_parameters=[1]), "rope_parameters is"),
    "quantised": (config(quantization_config={"bits": 4}), "quantization_config is set"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_checkpoint_is_refused_at_once_with_file_and_reason(case: str, copied: Path) -> None:
    change, message = BAD[case]
    change(copied)
    started = time.perf_counter()
    with pytest.raises(ValueError, match=message) as caught:
        load(copied)
    assert time.perf_counter() - started < 1
    assert str(copied) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
    assert len(str(caught.value).replace(str(copied), "")) < 500


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no directory"):
        load(tmp_path / "absent")
