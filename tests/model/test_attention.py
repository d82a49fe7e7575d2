import pytest
import torch
from torch.nn import functional as F

from sprig.model import attention
from sprig.model.attention import Attention, attention_in_blocks
from sprig.model.config import ModelConfig
from sprig.model.rotary import RotaryPositions


def drawn(length: int, dtype=torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    return [torch.randn(2, 3, length, 8, generator=generator, dtype=dtype, requires_grad=True) for _ in range(3)]


def masked(length: int) -> torch.Tensor:
    """Two documents in a row, each for itself."""
    documents = torch.arange(length) >= length // 3
    return (documents[:, None] == documents[None, :]).tril().expand(2, 1, length, length)


@pytest.mark.parametrize("by_document", [False, True])
@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 600])
def test_attention_in_blocks_is_causal_attention(length, by_document):
    inputs = drawn(length)
    visible = masked(length) if by_document else None
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=visible, is_causal=visible is None)
    found = attention_in_blocks(*inputs, visible)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    for gradient, wanted in zip(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize(
    ("length", "dropout", "dtype", "blocks"),
    [
        (20, 0.0, torch.bfloat16, True),
        (20, 0.5, torch.bfloat16, False),  # only the other way drops anything
        (1030, 0.0, torch.bfloat16, False),  # its scores would fill the memory
        (20, 0.0, torch.float32, False),
    ],
)
def test_short_rows_in_bfloat16_go_by_blocks_on_a_processor(length, dropout, dtype, blocks, monkeypatch):
    went = []
    monkeypatch.setattr(attention, "attention_in_blocks", lambda *x: went.append(x) or attention_in_blocks(*x))
    config = ModelConfig(max_position_embeddings=2000, attention_dropout=dropout)
    torch.manual_seed(0)
    layer, rotary = Attention(config, 0), RotaryPositions(config)(0, length, torch.float32)
    x = torch.randn(1, length, config.hidden_size)
    torch.nn.init.normal_(layer.o_proj.weight)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = layer(x, rotary)
    assert bool(went) is blocks
    if not dropout:
        exact = layer(x, rotary)
        assert (found - exact).norm() < 0.02 * exact.norm()
