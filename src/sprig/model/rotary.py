"""Rotary positions (Su et al. 2021, arXiv:2104.09864): a head's pairs of features turn with the position."""

import torch
from torch import Tensor, nn


class RotaryPositions(nn.Module):
    """The cosines and sines of every position up to max_positions, kept in float32 and out of the checkpoint."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, max_positions: int, theta: float) -> None:
        super().__init__()
        frequencies = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
        angles = torch.outer(torch.arange(max_positions, dtype=torch.float32), frequencies)  # (T, E / 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, start: int, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each (length, E / 2), of the positions from start on."""
        assert start + length <= len(self.cos), "positions beyond the context"
        span = slice(start, start + length)
        return self.cos[span].to(dtype), self.sin[span].to(dtype)


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn x (B, H, T, E); feature i is paired with feature i + E / 2, as in Hugging Face's weights."""
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)  # each (B, H, T, E / 2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
