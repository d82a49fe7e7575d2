"""What scripts/bench_train.py compares Sprig with."""

from pathlib import Path

import pytest

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=32, tie_word_embeddings=True,
)  # fmt: skip


@pytest.mark.parametrize(("library", "model"), [("transformers", "qwen3"), ("litgpt", "gpt")])
def test_all_contenders_have_as_many_parameters_as_sprig(library, model, monkeypatch):
    pytest.importorskip(library)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    import peers

    there = getattr(peers, model)(SHAPE)
    assert sum(weights.numel() for weights in there.parameters()) == Transformer(SHAPE).num_parameters
