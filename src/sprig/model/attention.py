"""Causal self-attention with rotary positions, grouped queries and an optional norm of queries and keys."""

from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sprig.model.config import ModelConfig
from sprig.model.norm import RMSNorm
from sprig.model.rotary import rotate


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
        # The fused kernels take is_causal without a mask. A single new token sees all that is stored; only
        # several new tokens on top of stored ones need a mask of their own.
        mask = visible
        if past and length > 1:
            mask = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)
        on_cpu = x.device.type == "cpu"
        # Only ever switched off: entering an enabled autocast would lower the type where the caller wants float32.
        with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
            if on_cpu:  # its bfloat16 kernel takes up to 5 times as long backward as the float32 one
                q, k, v = q.float(), k.float(), v.float()
            gathered = F.scaled_dot_product_attention(
                q, k, v,
                attn_mask=mask,
                dropout_p=self.dropout if self.training else 0.0,
                is_causal=mask is None and length > 1,
            )  # fmt: skip
        output: Tensor = self.o_proj(gathered.to(x.dtype).transpose(1, 2).reshape(batch, length, -1))  # (B, T, H * E)
        return output
