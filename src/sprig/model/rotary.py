"""Rotary positions (Su et al. 2021, arXiv:2104.09864): a head's pairs of features turn with the position."""

import math

import torch
from torch import Tensor, nn

from sprig.model.config import ModelConfig, RopeScaling


class RotaryPositions(nn.Module):
    """The cosines and sines of every position of the context, kept in float32 and out of the checkpoint."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.head_dim
        frequencies = config.rope_theta ** -(torch.arange(0, size, 2, dtype=torch.float32) / size)  # radians a position
        if config.rope_scaling is not None:
            frequencies = scaled(frequencies, config.rope_scaling)
        positions = torch.arange(config.max_position_embeddings, dtype=torch.float32)
        angles = torch.outer(positions, frequencies)  # (T, E / 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, start: int, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each (length, E / 2), of the positions from start on."""
        assert start + length <= len(self.cos), "positions beyond the context"
        span = slice(start, start + length)
        return self.cos[span].to(dtype), self.sin[span].to(dtype)


def scaled(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Frequencies (E / 2,) of a lengthened context, as Llama 3.1's reference code has them (`apply_scaling`).

    What turns slowly becomes slower by the factor, what turns fast keeps its pace, and between the two it is mixed.
    """
    turns = scaling.original_max_position_embeddings * frequencies / (2 * math.pi)  # in the original context
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = kept.clamp(0, 1)
    return frequencies * (kept + (1 - kept) / scaling.factor)


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn x (B, H, T, E); feature i is paired with feature i + E / 2, as in Hugging Face's weights."""
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)  # each (B, H, T, E / 2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
