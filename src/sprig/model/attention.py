"""Causal self-attention with rotary positions, grouped queries and an optional norm of queries and keys."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sprig.model.config import ModelConfig
from sprig.model.norm import RMSNorm
from sprig.model.rotary import rotate

_SHORT = 1024  # positions: the scores of longer rows, kept for the backward pass, would fill the memory
_BLOCK = 256


class KeyValueCache(Protocol):
    """What generation keeps between tokens; the model only asks for these two things."""

    length: int
    """Positions that every layer has stored."""

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append new (B, K, T, E) keys and values of a layer; return all of them so far."""
        ...


class Attention(nn.Module):
    """Each position gathers from itself and those before it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        self.groups = config.num_attention_heads // config.num_key_value_heads
        self.dropout = config.attention_dropout
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=config.attention_bias)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=config.attention_bias)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=config.attention_bias)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)
        if config.qk_norm:
            self.q_norm: nn.Module = RMSNorm(config.head_dim, eps=config.rms_norm_eps)
            self.k_norm: nn.Module = RMSNorm(config.head_dim, eps=config.rms_norm_eps)
        else:
            self.q_norm, self.k_norm = nn.Identity(), nn.Identity()

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor],
        cache: KeyValueCache | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); with a cache, x holds the positions that follow those stored in it.

        visible (B, 1, T, T) is true where a position may look; None is at itself and all before it.
        """
        batch, length, _ = x.shape
        heads = (batch, length, -1, self.head_dim)
        q = self.q_norm(self.q_proj(x).view(heads)).transpose(1, 2)  # (B, H, T, E)
        k = self.k_norm(self.k_proj(x).view(heads)).transpose(1, 2)  # (B, K, T, E)
        v = self.v_proj(x).view(heads).transpose(1, 2)  # (B, K, T, E)
        q, k = rotate(q, rotary), rotate(k, rotary)
        if cache is not None:
            k, v = cache.update(self.layer, k, v)
        if self.groups > 1:  # CPU kernels want as many key heads as query heads
            k, v = k.repeat_interleave(self.groups, dim=1), v.repeat_interleave(self.groups, dim=1)
        past = k.shape[2] - length
        dropout = self.dropout if self.training else 0.0
        if x.device.type == "cpu" and v.dtype == torch.bfloat16 and not past and not dropout and length <= _SHORT:
            gathered = attention_in_blocks(q, k, v, visible)
        else:
            # The fused kernels take is_causal without a mask. A single new token sees all that is stored; only
            # several new tokens on top of stored ones need a mask of their own.
            mask = visible
            if past and length > 1:
                mask = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)
            gathered = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None and length > 1
            )
        output: Tensor = self.o_proj(gathered.transpose(1, 2).reshape(batch, length, -1))  # (B, T, H * E)
        return output


def attention_in_blocks(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> Tensor:
    """Causal attention of q, k, v (B, H, T, E), computed in v's type by plain matrix products; visible as above.

    On a processor that multiplies bfloat16 fast, this takes half the time of the fused kernel, which computes in
    float32 there. Queries come a block at a time: what lies above the diagonal's blocks is never computed.
    """
    length = q.shape[2]
    outputs = []
    with torch.autocast(q.device.type, enabled=False):  # it would take the softmax to float32, and back
        q, k = (q * q.shape[-1] ** -0.5).to(v.dtype), k.to(v.dtype)
        future = torch.full((_BLOCK, _BLOCK), -torch.inf, dtype=v.dtype, device=q.device).triu(1)
        for start in range(0, length, _BLOCK):
            end = min(start + _BLOCK, length)
            scores = q[:, :, start:end] @ k[:, :, :end].mT  # (B, H, block, end)
            if visible is None:
                scores[..., start:] += future[: end - start, : end - start]
            else:
                scores = scores.masked_fill(~visible[:, :, start:end, :end], -torch.inf)
            outputs.append(scores.softmax(-1) @ v[:, :, :end])
    return torch.cat(outputs, dim=2)
