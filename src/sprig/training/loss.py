"""The loss: cross-entropy of the next token in nats, padding left out.

The output layer is part of it: logits are by far the largest tensor of a step, so they are made, used and dropped a
few rows at a time, and never stand in memory as a whole in float32.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sprig.data.loading import IGNORED

_CHUNK = 2**22  # logits at a time: 16 MiB in float32, which a processor's cache holds and a GPU fills its cores with


class Loss(NamedTuple):
    """Two scalars."""

    total: Tensor
    """What is to be made smaller."""
    nats: Tensor
    """The mean cross-entropy of the targets that count, in nats a token; has no gradient."""


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float = 0.0) -> Loss:
    """The loss of hidden states (B, T, D) whose logits are hidden @ weight.T, for weight (V, D), targets (B, T).

    z_loss times the mean squared log of the softmax's denominator is added to the total: it keeps logits from
    drifting (Chowdhery et al. 2022, arXiv:2204.02311, section 5). Under autocast its type is multiplied in.
    """
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        hidden, weight = (tensor.to(torch.get_autocast_dtype(kind)) for tensor in (hidden, weight))
    with torch.autocast(kind, enabled=False):
        total, nats = _LinearCrossEntropy.apply(hidden.flatten(0, 1), weight, targets.flatten(), z_loss)  # type: ignore[no-untyped-call]
    return Loss(total, nats)


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made in the forward pass, while a chunk's logits are at hand: nothing is computed twice."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float) -> tuple[Tensor, Tensor]:
        needed = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        counted = (targets != IGNORED).float()
        share = counted / counted.sum().clamp(min=1)  # of each target in the mean; rows that only fill up have none
        nats = hidden.new_zeros((), dtype=torch.float32)
        z = torch.zeros_like(nats)
        hidden_gradient = torch.empty_like(hidden) if needed else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needed else None
        rows = max(1, _CHUNK // len(weight))
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            logits = (hidden[part] @ weight.T).float()  # (rows, V)
            log_sum = logits.logsumexp(1)
            target = targets[part].clamp(min=0)[:, None]
            nats += (share[part] * (log_sum - logits.gather(1, target)[:, 0])).sum()
            z += (share[part] * log_sum.square()).sum()
            if hidden_gradient is None or weight_gradient is None:
                continue
            # The softmax less one at the target, and 2 z log_sum softmax of the second term.
            gradient = logits.sub_(log_sum[:, None]).exp_()
            gradient *= (share[part] * (1 + 2 * z_loss * log_sum))[:, None]
            gradient.scatter_add_(1, target, -share[part][:, None])
            narrow = gradient.to(hidden.dtype)
            torch.mm(narrow, weight, out=hidden_gradient[part])
            weight_gradient += narrow.T @ hidden[part]
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(nats)
        return nats + z_loss * z, nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden, weight = ctx.saved_tensors
        return hidden * total, (weight * total).to(ctx.dtype), None, None


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (B, T) in nats of logits (B, T, V), computed in float32; zero where the target is ignored."""
    # Row by row, so that the whole batch's logits are never there in float32.
    rows = zip(logits, targets, strict=True)
    return torch.stack([F.cross_entropy(x.float(), y, ignore_index=IGNORED, reduction="none") for x, y in rows])
