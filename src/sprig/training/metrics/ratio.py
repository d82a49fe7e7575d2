"""What every metric is made of: scores of single tokens, and the ratio of two sums over them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from sprig.data.loading import IGNORED, Batch
from sprig.training.loss import token_losses


@dataclass(frozen=True, slots=True)
class TokenScores:
    """How a batch's targets were guessed; all tensors are (B, T)."""

    nats: Tensor
    """Cross-entropy, 0 at padding."""
    correct: Tensor
    """True where the likeliest token is the target."""
    counted: Tensor
    """True where there is a target, false at padding."""
    body: Tensor
    """True where the target follows its function's header."""
    bytes: Tensor
    """UTF-8 bytes that the target adds to the text, 0 for special tokens and padding."""
    positions: Tensor
    """How many positions the batch's rows have, padding and what was trimmed included; a scalar."""

    @classmethod
    def of(cls, logits: Tensor, batch: Batch, token_bytes: Tensor) -> "TokenScores":
        """Score logits (B, T, V) against the batch's targets (B, T)."""
        targets = batch.targets
        counted = targets != IGNORED
        return cls(
            nats=token_losses(logits, targets),
            correct=(logits.max(-1).indices == targets) & counted,  # on a CPU 4 times as fast as argmax
            counted=counted,
            body=batch.body & counted,
            bytes=token_bytes[targets.clamp(min=0)] * counted,
            positions=torch.tensor(batch.positions, device=targets.device),
        )


class Ratio(Metric):
    """A sum over tokens divided by another; nan where the second is zero."""

    name: ClassVar[str]
    full_state_update = False
    above: Tensor
    below: Tensor

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)  # Metrics does it, to know before whether there is anything to count
        self.add_state("above", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("below", torch.tensor(0.0), dist_reduce_fx="sum")

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """What a batch adds to the two sums."""
        raise NotImplementedError

    def update(self, scores: TokenScores) -> None:
        """Add a batch."""
        above, below = self.terms(scores)
        self.above += above
        self.below += below

    def compute(self) -> Tensor:
        """The ratio so far."""
        return self.above / self.below
