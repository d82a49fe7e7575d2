"""Our names and arithmetic are Hugging Face's: weights go both ways, and the logits agree."""

from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from random_models import random_model, randomise
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

ARCHITECTURES: dict[str, tuple[type, type, dict[str, Any]]] = {
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"qk_norm": False, "attention_bias": True}),
    "llama": (LlamaConfig, LlamaForCausalLM, {"qk_norm": False}),
}
IDS = torch.randint(257, (3, 32), generator=torch.Generator().manual_seed(2))


def huggingface_model(ours: ModelConfig) -> PreTrainedModel:
    """Their model of our configuration, built in memory from Hugging Face's own keys."""
    config_class, model_class, _ = ARCHITECTURES[ours.model_type]
    config = config_class(
        vocab_size=ours.vocab_size,
        hidden_size=ours.hidden_size,
        intermediate_size=ours.intermediate_size,
        num_hidden_layers=ours.num_hidden_layers,
        num_attention_heads=ours.num_attention_heads,
        num_key_value_heads=ours.num_key_value_heads,
        head_dim=ours.head_dim,
        max_position_embeddings=ours.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": ours.rope_theta},
        rms_norm_eps=ours.rms_norm_eps,
        tie_word_embeddings=ours.tie_word_embeddings,
    )
    model: PreTrainedModel = model_class(config).eval()
    assert model.dtype == torch.float32
    return model


def assert_same_logits(ours: Transformer, theirs: PreTrainedModel) -> None:
    with torch.no_grad():
        expected, logits = theirs(IDS).logits, ours(IDS)
    assert expected.std() > 0.5  # a model that says nothing would agree with anything
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_key_value_heads", [4, 2, 1])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_go_both_ways_and_the_logits_agree(architecture: str, tied: bool, num_key_value_heads: int) -> None:
    switches = ARCHITECTURES[architecture][2]
    ours = random_model(tie_word_embeddings=tied, num_key_value_heads=num_key_value_heads, rope_theta=500.0, **switches)
    theirs = huggingface_model(ours.config)

    randomise(theirs, seed=5)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same_logits(ours, theirs)

    randomise(ours, seed=6)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same_logits(ours, theirs)


@pytest.mark.parametrize("architecture", ["qwen3", "llama"])
def test_the_head_size_may_differ_from_the_width_over_the_heads(architecture: str) -> None:
    ours = random_model(head_dim=12, rms_norm_eps=1e-2, **ARCHITECTURES[architecture][2])
    theirs = huggingface_model(ours.config)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert_same_logits(ours, theirs)


def test_a_fresh_model_of_theirs_has_the_parameters_of_ours() -> None:
    ours = random_model()
    theirs = huggingface_model(ours.config)
    assert ours.num_parameters == theirs.num_parameters()
