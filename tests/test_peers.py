"""What scripts/bench_train.py compares Sprig with."""

from pathlib import Path

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=32, tie_word_embeddings=True,
)  # fmt: skip


def test_the_trainers_model_has_as_many_parameters_as_sprigs(monkeypatch):
    """LitGPT's is counted where it is raced: pip cannot install it beside today's transformers."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    import peers

    there = peers.qwen3(SHAPE)
    assert sum(weights.numel() for weights in there.parameters()) == Transformer(SHAPE).num_parameters
