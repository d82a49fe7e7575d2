"""Small transformers with every weight random: a fresh one's layers are the identity, which hides faults."""

from typing import Any

import torch

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

SHAPES: dict[str, dict[str, Any]] = {
    "plain heads": {},
    "grouped queries": {"num_key_value_heads": 2},
    "one key head": {"num_key_value_heads": 1},
    "wide heads": {"head_dim": 12},
    "qwen2": {"qk_norm": False, "attention_bias": True, "num_key_value_heads": 2},
    "llama": {"qk_norm": False, "num_key_value_heads": 2, "tie_word_embeddings": False},
}
"""What a configuration may switch, as overrides of random_model's own."""


def random_model(seed: int = 0, **overrides: Any) -> Transformer:
    """A model of 257 tokens (the bytes and end of text) and 32 positions, in eval mode."""
    settings = {
        "vocab_size": 257,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "max_position_embeddings": 32,
    }
    model = Transformer(ModelConfig(**(settings | overrides)))
    randomise(model, seed)
    return model.eval()


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Draw gains around 1, biases and matrices around 0, large enough for each to show in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.3 * noise if "norm" in name else 0.2 * noise)
