"""The loss: cross-entropy of the next token in nats, padding left out.

The output layer is part of it: logits are by far the largest tensor of a step, so they are made, used and dropped a
few rows at a time, and never stand in memory as a whole in float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sprig.data.loading import IGNORED

# Logits at a time. On a processor 8 MiB in float32, which its cache holds; a GPU wants large products, and each of them
# adds to the whole output layer's gradient: 1 GiB in float32.
_CHUNK, _GPU_CHUNK = 2**21, 2**28
# What a target weighs in the gradients until the backward pass gives it its share in the mean. Of thousands of targets
# that share is so small that most of a softmax times it would be nothing in float16; and sums of as many rows must
# stay below float16's 65,504.
_WEIGHT = 1 / 16


class Loss(NamedTuple):
    """Two scalars."""

    total: Tensor
    """What is to be made smaller."""
    nats: Tensor
    """The mean cross-entropy of the targets that count, in nats a token; has no gradient."""


class LinearCrossEntropy:
    """The loss of hidden states (B, T, D) whose logits are hidden @ weight.T, for weight (V, D), targets (B, T).

    z_loss times the mean squared log of the softmax's denominator is added to the total: it keeps logits from
    drifting (Chowdhery et al. 2022, arXiv:2204.02311, section 5). Under autocast its type is multiplied in.
    """

    def __init__(self, z_loss: float = 0.0) -> None:
        self.z_loss = z_loss
        self._softmax = _softmax

    def compile(self) -> None:
        """From now on, go over a chunk's logits once and not operation by operation."""
        self._softmax = torch.compile(_softmax)

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Loss:
        """The loss; its gradients are made on the way."""
        kind = hidden.device.type
        if torch.is_autocast_enabled(kind):
            hidden, weight = (tensor.to(torch.get_autocast_dtype(kind)) for tensor in (hidden, weight))
        with torch.autocast(kind, enabled=False):
            total, nats = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
                hidden.flatten(0, 1), weight, targets.flatten(), self.z_loss, self._softmax
            )
        return Loss(total, nats)


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made in the forward pass, while a chunk's logits are at hand: nothing is computed twice."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float, softmax: Callable[..., Any]
    ) -> tuple[Tensor, Tensor]:
        needed = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        counted = (targets != IGNORED).float()
        count = counted.sum().clamp(min=1)
        share = counted / count  # of each target in the mean; rows that only fill up have none
        weights = counted * _WEIGHT
        nats = hidden.new_zeros((), dtype=torch.float32)
        z = torch.zeros_like(nats)
        hidden_gradient = torch.empty_like(hidden) if needed else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needed else None
        chunks = -(-len(hidden) * len(weight) // (_CHUNK if hidden.device.type == "cpu" else _GPU_CHUNK))
        rows = -(-len(hidden) // min(chunks, len(hidden)))  # of one length, where it can be: each is compiled anew
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            logits, target = hidden[part] @ weight.T, targets[part].clamp(min=0)[:, None]
            log_sum, gradient = softmax(logits, weights[part], z_loss)
            guess = logits.gather(1, target)[:, 0].float() - log_sum
            nats -= (share[part] * guess).sum()
            z += (share[part] * log_sum.square()).sum()
            at_target = weights[part] * (guess.exp() * (1 + 2 * z_loss * log_sum) - 1)
            gradient.scatter_(1, target, at_target[:, None].to(gradient.dtype))
            if hidden_gradient is not None and weight_gradient is not None:
                torch.mm(gradient, weight, out=hidden_gradient[part])
                weight_gradient += gradient.T @ hidden[part]
        ctx.save_for_backward(hidden_gradient, weight_gradient, count)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(nats)
        return nats + z_loss * z, nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden, weight, count = ctx.saved_tensors
        scale = total / (_WEIGHT * count)
        return hidden * scale, (weight * scale).to(ctx.dtype), None, None, None


def _softmax(logits: Tensor, weights: Tensor, z_loss: float) -> tuple[Tensor, Tensor]:
    """Of logits (rows, V), in float32 inside: the log of the denominator (rows,), and the gradient but at the target.

    Off the target that is the softmax times the target's weight (rows,); z_loss adds 2 z log_sum softmax.
    """
    wide = logits.float()
    log_sum = wide.logsumexp(1)
    gradient = (wide - log_sum[:, None]).exp_().mul_((weights * (1 + 2 * z_loss * log_sum))[:, None])
    return log_sum, gradient.to(logits.dtype)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (B, T) in nats of logits (B, T, V), computed in float32; zero where the target is ignored."""
    # Row by row, so that the whole batch's logits are never there in float32.
    rows = zip(logits, targets, strict=True)
    return torch.stack([F.cross_entropy(x.float(), y, ignore_index=IGNORED, reduction="none") for x, y in rows])
