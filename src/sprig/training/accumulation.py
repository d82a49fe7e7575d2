"""The batches that make one step: trainer.accumulate_grad_batches of them, fewer at the end of an epoch."""

from dataclasses import dataclass

import lightning as L
from torch import Tensor


@dataclass
class Window:
    """The batches of a step so far."""

    nats: Tensor | float = 0.0
    """Of this process's rows, on the device."""
    tokens: int = 0
    """Of all processes."""
    first: int = 0
    """Those of the first batch."""

    def add(self, nats: Tensor, tokens: int) -> None:
        """Count one more."""
        self.nats, self.tokens, self.first = self.nats + nats, self.tokens + tokens, self.first or tokens


def window_closed(trainer: L.Trainer) -> bool:
    """Whether the last batch has ended a step: after it, no gradients wait for those of more batches."""
    return trainer.is_last_batch or (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches == 0
