"""A checkpoint directory is a Hugging Face model directory: transformers opens it with no step between."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
)

from random_models import random_model
from sprig.checkpoint import load, save, write_manifest
from sprig.data.tokenizer import CodeTokenizer
from sprig.model.transformer import Transformer

VOCABULARY = 270
TEXTS = (
    "def add(a, b):\n    return a + b\n",
    "",
    " leading and trailing  spaces ",
    "don 't touch the space , nor this one .",  # what clean_up_tokenization_spaces would close up
    "tabs\tand\r\nline ends\n\n",
    "é ∑ 漢字 🌱 e\u0301",
    "<|endoftext|> and <|pad|>",
)
TOKENIZER = CodeTokenizer.train(TEXTS * 2, VOCABULARY)
IDS = torch.randint(VOCABULARY, (2, 32), generator=torch.Generator().manual_seed(3))
ARCHITECTURES: dict[str, tuple[type[PreTrainedConfig], dict[str, bool]]] = {
    "qwen3": (Qwen3Config, {}),
    "qwen2": (Qwen2Config, {"qk_norm": False, "attention_bias": True}),
    "llama": (LlamaConfig, {"qk_norm": False}),
}


def assert_same_logits(ours: Transformer, theirs: PreTrainedModel) -> None:
    with torch.no_grad():
        expected, logits = theirs(IDS).logits, ours(IDS)
    assert expected.std() > 0.5  # a model that says nothing would agree with anything
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transformers_loads_our_directory_with_equal_logits(architecture: str, tied: bool, tmp_path: Path) -> None:
    ours = random_model(
        vocab_size=VOCABULARY,
        num_key_value_heads=2,
        head_dim=12,  # not hidden_size / num_attention_heads, as in Qwen3's own sizes
        rope_theta=500.0,
        rms_norm_eps=1e-2,
        tie_word_embeddings=tied,
        **ARCHITECTURES[architecture][1],
    )
    save(tmp_path / "best", ours, TOKENIZER, {})
    theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path / "best", output_loading_info=True)
    assert not any(report.values())
    assert theirs.config.model_type == architecture
    assert theirs.dtype == torch.float32
    assert_same_logits(ours, theirs.eval())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_we_load_a_model_that_transformers_saved_with_equal_logits(
    architecture: str, dtype: torch.dtype, tied: bool, tmp_path: Path
) -> None:
    config = ARCHITECTURES[architecture][0](
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).to(dtype).save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    TOKENIZER.save(tmp_path)
    with pytest.raises(ValueError, match=r"has no manifest\.json"):
        load(tmp_path)
    assert_same_logits(load(tmp_path, verify=False).transformer, theirs)
    write_manifest(tmp_path)
    assert_same_logits(load(tmp_path).transformer, theirs)


def test_what_a_config_leaves_out_means_what_it_means_to_transformers(tmp_path: Path) -> None:
    ours = random_model(vocab_size=VOCABULARY, qk_norm=False, tie_word_embeddings=False)
    save(tmp_path / "best", ours, TOKENIZER, {})
    path = tmp_path / "best" / "config.json"
    values = json.loads(path.read_text())
    for name in (
        *("num_key_value_heads", "head_dim", "rope_theta", "rope_parameters", "rms_norm_eps"),
        *(
            "tie_word_embeddings",
            "attention_dropout",
            "initializer_range",
            "hidden_act",
            "dtype",
            "torch_dtype",
        ),
    ):
        del values[name]
    path.write_text(json.dumps(values))
    assert load(tmp_path / "best", verify=False).transformer.config == ours.config
    assert_same_logits(ours, AutoModelForCausalLM.from_pretrained(tmp_path / "best").eval())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "best"
    save(directory, random_model(vocab_size=VOCABULARY), TOKENIZER, {})
    return directory


def test_their_greedy_generation_is_a_plain_loop_over_ours(saved: Path) -> None:
    theirs = AutoModelForCausalLM.from_pretrained(saved)
    ours = load(saved).transformer
    for start in (7, 77, 177):
        ids = torch.tensor([[TOKENIZER.end_of_text, start, 40]])
        expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12)
        with torch.no_grad():
            while ids.shape[1] < 15 and (ids.shape[1] == 3 or ids[0, -1] != TOKENIZER.end_of_text):
                ids = torch.cat((ids, ours(ids)[:, -1].argmax(dim=-1, keepdim=True)), dim=1)
        assert ids.tolist() == expected.tolist()


def test_their_generation_ends_at_end_of_text_without_being_told(tmp_path: Path) -> None:
    ours = random_model(vocab_size=VOCABULARY, tie_word_embeddings=False)
    with torch.no_grad():  # after any token it says end of text
        ours.lm_head.weight.zero_()
        ours.lm_head.weight[TOKENIZER.end_of_text] = 100 * ours(IDS[:1, :3]).new_ones(32)
        ours.model.norm.weight.fill_(1)
        ours.model.embed_tokens.weight.fill_(1)
        for name, parameter in ours.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
    save(tmp_path / "best", ours, TOKENIZER, {})
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "best")
    generated = theirs.generate(IDS[:1, :3], max_new_tokens=9)
    assert generated[0, 3:].tolist() == [TOKENIZER.end_of_text]


@pytest.fixture(scope="module")
def their_tokenizer(saved: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(saved)


@pytest.mark.parametrize("text", TEXTS)
def test_their_tokenizer_encodes_as_ours_after_end_of_text_and_decodes_exactly(
    text: str, their_tokenizer: PreTrainedTokenizerBase
) -> None:
    ids = their_tokenizer(text).input_ids
    assert ids == [TOKENIZER.end_of_text, *TOKENIZER.encode(text)]
    assert their_tokenizer.decode(ids, skip_special_tokens=True) == text
    assert their_tokenizer(text, add_special_tokens=False).input_ids == TOKENIZER.encode(text)


def test_their_special_tokens_are_ours(saved: Path, their_tokenizer: PreTrainedTokenizerBase) -> None:
    config = AutoConfig.from_pretrained(saved)
    for theirs in (their_tokenizer, config, AutoModelForCausalLM.from_pretrained(saved).generation_config):
        assert theirs.bos_token_id == theirs.eos_token_id == TOKENIZER.end_of_text
        assert theirs.pad_token_id == TOKENIZER.pad
    assert len(their_tokenizer) == config.vocab_size == VOCABULARY


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_only_transformers_4_or_only_5_looks_for_is_there(architecture: str, tmp_path: Path) -> None:
    transformer = random_model(vocab_size=VOCABULARY, rope_theta=500.0, **ARCHITECTURES[architecture][1])
    save(tmp_path / "best", transformer, TOKENIZER, {})
    values = json.loads((tmp_path / "best" / "config.json").read_text())
    with safe_open(tmp_path / "best" / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}  # version 4 refuses weights that do not say so
    assert values["rope_theta"] == values["rope_parameters"]["rope_theta"] == 500.0
    assert values["torch_dtype"] == values["dtype"] == "float32"
    assert "attention_bias" not in values  # in theirs, true for qwen3 and llama means a bias on o_proj too
