"""The loss: cross-entropy of the next token in nats, padding left out."""

from torch import Tensor
from torch.nn import functional as F

from sprig.data.loading import IGNORED


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (B, T) in nats of logits (B, T, V), computed in float32; zero where the target is ignored."""
    flat = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view_as(targets)


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of token_losses over the targets that count, in nats a token."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)
