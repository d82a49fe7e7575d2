"""Models that others have trained, as transformers writes them: read with equal logits, or refused with the reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from sprig.checkpoint import load, load_from_elsewhere, save
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE
from their_models import FAMILIES, FIM, LLAMA3_ROPE, PADDED, their_logits, write_model

IDS = torch.randint(PADDED, (2, 64), generator=torch.Generator().manual_seed(3))
TEXT = "def f(x):\n    return '<|endoftext|> <|fim_prefix|> <|eot_id|>'  # é 漢字\n\n"


def assert_same_logits(directory: Path, expected: torch.Tensor) -> None:
    with torch.no_grad():
        logits = load_from_elsewhere(str(directory)).transformer(IDS)
    assert expected.std() > 0.5  # a model that says nothing would agree with anything
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shard", ["1GB", "30KB"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_theirs_and_still_are_once_it_is_saved_again(
    family: str, tied: bool, shard: str, tmp_path: Path
) -> None:
    write_model(tmp_path / "theirs", family, shard=shard, tie_word_embeddings=tied)
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) == (1 if shard == "1GB" else 4 if tied else 5)
    theirs = their_logits(tmp_path / "theirs", IDS)
    assert_same_logits(tmp_path / "theirs", theirs)
    start = load_from_elsewhere(str(tmp_path / "theirs"))
    save(tmp_path / "ours", start.transformer, start.tokenizer, {})
    again = load(tmp_path / "ours")
    assert again.transformer.config == start.transformer.config
    assert again.tokenizer.fingerprint == start.tokenizer.fingerprint
    assert torch.equal(their_logits(tmp_path / "ours", IDS), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scaled_context_is_read_from_where_transformers_4_and_5_write_it(family: str, tmp_path: Path) -> None:
    write_model(tmp_path, family, rope_parameters=LLAMA3_ROPE)
    theirs = their_logits(tmp_path, IDS)
    assert_same_logits(tmp_path, theirs)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    rope = values.pop("rope_parameters")
    values |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    path.write_text(json.dumps(values))
    assert_same_logits(tmp_path, theirs)
    values["rope_scaling"] = None
    path.write_text(json.dumps(values))
    with pytest.raises(AssertionError, match="not close"):  # the scaling is no trifle in these models
        assert_same_logits(tmp_path, theirs)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for each family, the weights of each in several files."""
    place = tmp_path_factory.mktemp("theirs")
    for family in FAMILIES:
        write_model(place / family, family, shard="30KB")
    return place


@pytest.mark.parametrize("family", FAMILIES)
def test_text_is_cut_as_theirs_cut_it_before_and_after_it_is_saved(family: str, theirs: Path, tmp_path: Path) -> None:
    start = load_from_elsewhere(str(theirs / family))
    save(tmp_path / "ours", start.transformer, start.tokenizer, {})
    expected = AutoTokenizer.from_pretrained(theirs / family, split_special_tokens=True)
    after = AutoTokenizer.from_pretrained(tmp_path / "ours")
    plain = TEXT.replace("<|fim_prefix|>", "")  # which theirs takes for a token, as it is not marked as special
    assert start.tokenizer.encode(plain) == expected(plain, add_special_tokens=False).input_ids
    assert after(TEXT, add_special_tokens=False).input_ids == start.tokenizer.encode(TEXT)
    assert after(plain).input_ids == expected(plain).input_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_text_that_looks_like_their_special_tokens_stays_text(family: str, theirs: Path) -> None:
    tokenizer = load_from_elsewhere(str(theirs / family)).tokenizer
    ids = tokenizer.encode(TEXT)
    assert max(ids) < 300  # what their trainer learnt; what was added comes after
    assert tokenizer.decode(ids) == TEXT
    assert sum(tokenizer.token_bytes[id] for id in ids) == len(TEXT.encode())


def test_their_own_special_tokens_close_documents_open_rows_and_fill_in_the_middle(theirs: Path) -> None:
    qwen = load_from_elsewhere(str(theirs / "qwen2")).tokenizer
    llama = load_from_elsewhere(str(theirs / "llama")).tokenizer
    named = [qwen.special[id] for id in (qwen.opening, qwen.end_of_text, qwen.pad)]
    assert named == ["<|endoftext|>", "<|endoftext|>", "<|endoftext|>"]  # not the <|im_end|> of its chats
    assert [qwen.special[qwen.special_id(token)] for token in FILL_IN_THE_MIDDLE] == list(FIM)
    assert [llama.special[id] for id in (llama.opening, llama.end_of_text)] == ["<|begin_of_text|>", "<|end_of_text|>"]
    assert llama.lacks(FILL_IN_THE_MIDDLE) == list(FILL_IN_THE_MIDDLE)


def test_what_ends_a_text_may_be_declared_alone(theirs: Path, tmp_path: Path) -> None:
    shutil.copytree(theirs / "llama", tmp_path / "copy")
    path = tmp_path / "copy" / "tokenizer.json"
    path.write_text(path.read_text().replace("<|end_of_text|>", "<eos>"))
    tokenizer = load_from_elsewhere(str(tmp_path / "copy")).tokenizer
    assert tokenizer.special[tokenizer.end_of_text] == "<|eot_id|>"


def test_text_is_composed_where_their_tokenizer_composes_it(theirs: Path) -> None:
    tokenizer = load_from_elsewhere(str(theirs / "qwen3")).tokenizer
    assert tokenizer.decode(tokenizer.encode("e\u0301")) == "é"


def test_spaces_that_were_added_to_a_vocabulary_are_still_found_in_text(theirs: Path, tmp_path: Path) -> None:
    shutil.copytree(theirs / "qwen3", tmp_path / "copy")
    their = Tokenizer.from_file(str(tmp_path / "copy" / "tokenizer.json"))
    their.add_tokens([" " * 8])
    their.save(str(tmp_path / "copy" / "tokenizer.json"))
    tokenizer = load_from_elsewhere(str(tmp_path / "copy")).tokenizer
    ids = tokenizer.encode(f"x{' ' * 8}y")
    assert tokenizer.vocab_size - 1 in ids and tokenizer.decode(ids) == f"x{' ' * 8}y"
    assert tokenizer.token_bytes[tokenizer.vocab_size - 1] == 8


def test_a_snapshot_of_the_hubs_cache_is_read_through_its_links(theirs: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "abc"
    shutil.copytree(theirs / "qwen3", tmp_path / "blobs")
    snapshot.mkdir(parents=True)
    for path in (tmp_path / "blobs").iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    load_from_elsewhere(str(snapshot))
    shutil.move(tmp_path / "blobs" / "config.json", tmp_path / "config.json")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../config.json")
    with pytest.raises(ValueError, match="leads out of"):
        load_from_elsewhere(str(snapshot))


def test_tied_embeddings_may_be_stored_twice_and_old_frequencies_are_passed_over(theirs: Path, tmp_path: Path) -> None:
    write_model(tmp_path, "qwen3", tie_word_embeddings=True)
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(6)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    transformer = load_from_elsewhere(str(tmp_path)).transformer
    assert transformer.lm_head.weight is transformer.model.embed_tokens.weight


# What is refused

Change = Callable[[Path], object]
SHARD = "model-00002-of-00005.safetensors"


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(directory: Path) -> None:
        values = json.loads((directory / name).read_text())
        change(values)
        (directory / name).write_text(json.dumps(values))

    return apply


def config(**values: Any) -> Change:
    return changed("config.json", lambda config: config.update(values))


def rope(**values: Any) -> Change:
    return config(rope_parameters=LLAMA3_ROPE | values)


def index(name: str, file: Any) -> Change:
    return changed("model.safetensors.index.json", lambda index: index["weight_map"].update({name: file}))


def tokenizer(**values: Any) -> Change:
    return changed("tokenizer.json", lambda tokenizer: tokenizer.update(values))


def bpe(**values: Any) -> Change:
    return changed("tokenizer.json", lambda tokenizer: tokenizer["model"].update(values))


def only_pickles(directory: Path) -> None:
    for path in (*directory.glob("*.safetensors"), directory / "model.safetensors.index.json"):
        path.unlink()
    torch.save({}, directory / "pytorch_model.bin")


def twice(directory: Path) -> None:
    shutil.copy(directory / SHARD, directory / "again.safetensors")
    index("x", "again.safetensors")(directory)


def tensor(name: str, value: torch.Tensor) -> Change:
    def apply(directory: Path) -> None:
        [path] = [path for path in directory.glob("*.safetensors") if name in load_file(path)]
        save_file(load_file(path) | {name: value}, path, {"format": "pt"})

    return apply


def without_a_byte(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["vocab"]["no byte"] = tokenizer["model"]["vocab"].pop("Ā")


def a_letter_made_special(tokenizer: dict[str, Any]) -> None:
    letter = {"id": tokenizer["model"]["vocab"]["a"], "content": "a"}
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | letter)


def spaces_that_swallow_others(tokenizer: dict[str, Any]) -> None:
    spaces = {"id": 306, "content": "\t\t", "lstrip": True, "special": False}
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | spaces)


NORM = "model.norm.weight"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
REFUSED: dict[str, tuple[Change, str]] = {
    "another kind of model": (config(model_type="mistral"), "model_type is 'mistral': only qwen3, qwen2, llama"),
    "code of its own": (config(model_type="x", auto_map={"AutoModel": "evil.Model"}), "model_type is 'x'"),
    "a sliding window": (config(use_sliding_window=True), "sliding-window attention is in use"),
    "a sliding layer": (config(layer_types=["full_attention", "sliding_attention"]), "sliding-window attention"),
    "yarn": (rope(rope_type="yarn"), "only the types default and llama3 are supported"),
    "linear": (config(rope_scaling={"type": "linear", "factor": 2.0}), "only the types default and llama3"),
    "a number of yarn's": (rope(beta_fast=32), "only the types default and llama3"),
    "no factor": (rope(factor=None), "factor is None: it must be a number from 1"),
    "a factor that shortens": (rope(factor=0.5), "factor is 0.5"),
    "factors the wrong way round": (rope(low_freq_factor=4.0, high_freq_factor=4.0), "low_freq_factor=4.0 must be"),
    "a context that is no number": (
        rope(original_max_position_embeddings="8k"),
        "original_max_position_embeddings is '8k'",
    ),
    "two scalings": (config(rope_scaling=LLAMA3_ROPE), "rope_scaling and rope_parameters differ"),
    "a context elsewhere": (config(original_max_position_embeddings=8), "original_max_position_embeddings is set"),
    "no config": (lambda directory: (directory / "config.json").unlink(), "has no config.json"),
    "no tokenizer.json": (lambda directory: (directory / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "pickles alone": (only_pickles, "pytorch_model.bin' but no model.safetensors: pickles can run code"),
    "a shard missing": (lambda directory: (directory / SHARD).unlink(), f"has no file '{SHARD}'"),
    "a shard above": (index(NORM, "../x.safetensors"), "index.json lists '../x.safetensors': it may only list"),
    "a shard anywhere": (index(NORM, "/etc/passwd"), "may only list files beside itself"),
    "a shard that is no name": (index(NORM, 5), "is no index: its weight_map"),
    "a shard that is no safetensors": (index(NORM, "config.json"), "config.json is no safetensors file"),
    "no weight map": (changed("model.safetensors.index.json", dict.clear), "is no index"),
    "a tensor in two files": (twice, f"and {SHARD} has it as well|again.safetensors has it as well"),
    "a shard cut short": (lambda d: (d / SHARD).write_bytes((d / SHARD).read_bytes()[:-9]), "no safetensors file"),
    "an index of megabytes": (
        lambda directory: (directory / "model.safetensors.index.json").write_bytes(b" " * 10_000_001),
        "over 10,000,000 bytes",
    ),
    "another shape": (tensor(NORM, torch.ones(31)), r"model.norm.weight is \[31\], but config.json asks for \[32\]"),
    "a layer more": (config(num_hidden_layers=3), "has no model.layers.2"),
    "a layer less": (config(num_hidden_layers=1), "has 'model.layers.1.*for which the model of config.json has no"),
    "weights that are not finite": (tensor(NORM, torch.full((32,), torch.inf)), "model.norm.weight is not finite"),
    "eight bits": (tensor(NORM, torch.ones(32).to(torch.float8_e4m3fn)), "stored as F8_E4M3"),
    "quantised": (config(quantization_config={"bits": 4}), "quantization_config is set"),
    "no byte pairs": (bpe(type="Unigram"), "is no byte-pair encoding .model 'Unigram'.: only a byte-level BPE"),
    "sentencepiece's bytes": (bpe(byte_fallback=True), "has a byte_fallback"),
    "lower case": (tokenizer(normalizer={"type": "Lowercase"}), "has a normalizer.*only NFC is let pass"),
    "metaspace": (tokenizer(pre_tokenizer={"type": "Metaspace", "replacement": "_"}), "does not cut text into bytes"),
    "a space in front": (tokenizer(pre_tokenizer=BYTE_LEVEL), "has the pre-tokenizer.*would not come back"),
    "another decoder": (tokenizer(decoder={"type": "Fuse"}), "has the decoder.*only ByteLevel"),
    "another frame": (tokenizer(post_processor={"type": "BertProcessing"}), "has the post-processor"),
    "no merges of bytes": (changed("tokenizer.json", without_a_byte), "no token for 1 of the 256 bytes"),
    "more tokens than the model": (config(vocab_size=305), "has 306 tokens, but config.json says vocab_size=305"),
    "a special token in reach": (
        changed("tokenizer.json", a_letter_made_special),
        "would take the text 'a' for the special token",
    ),
    "spaces that swallow others": (
        changed("tokenizer.json", spaces_that_swallow_others),
        "does not give back the text",
    ),
    "settings of megabytes": (
        lambda directory: (directory / "tokenizer_config.json").write_bytes(b" " * 10_000_001),
        "tokenizer_config.json is over 10,000,000 bytes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_with_file_and_reason(case: str, theirs: Path, tmp_path: Path) -> None:
    change, message = REFUSED[case]
    directory = shutil.copytree(theirs / "qwen3", tmp_path / "copy")
    change(directory)
    with pytest.raises(ValueError, match=message) as caught:
        load_from_elsewhere(str(directory))
    assert str(caught.value).startswith(f"model.init_from: {directory}")
    assert len(str(caught.value).splitlines()) <= 2
    assert len(str(caught.value).replace(str(directory), "")) < 500


@pytest.mark.parametrize("place", ["Qwen/Qwen3-0.6B", "", "x" * 5000, "~nobody-has-this-name"])
def test_what_is_no_directory_is_refused_and_nothing_is_downloaded(place: str) -> None:
    with pytest.raises(ValueError, match=r"model\.init_from=.*(nothing is downloaded|too long|home)"):
        load_from_elsewhere(place)
