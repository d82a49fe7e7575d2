"""Writes the epochs of a run into its trace."""

import time
from pathlib import Path

import lightning as L

from sprig.trace.observations import observe
from sprig.trace.records import Epoch, Trace
from sprig.training.module import LanguageModelling


class Tracing(L.Callback):
    """After each validation appends an Epoch to trace.epochs and saves the trace to path."""

    def __init__(self, trace: Trace, path: Path, padding: float | None) -> None:
        """padding: the part of the validation rows' positions that is padding; None in a layout without."""
        self.trace, self.path, self.padding = trace, path, padding
        self.validation_seconds = 0.0
        """Spent in all validations so far."""
        self._start = 0.0
        self._validation_start = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock, where an earlier part of the run left it."""
        self._start = time.perf_counter() - (self.trace.epochs[-1].seconds if self.trace.epochs else 0.0)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the validation."""
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the figures of this validation."""
        self.validation_seconds += time.perf_counter() - self._validation_start
        assert isinstance(pl_module, LanguageModelling)
        metrics = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/") or name == "train/loss"
        }
        if self.padding is not None:
            metrics |= counted_with_padding(metrics, self.padding)
        epoch = Epoch(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            tokens=pl_module.tokens_seen,
            seconds=time.perf_counter() - self._start,
            metrics=metrics,
        )
        self.trace.epochs.append(epoch)
        epoch.observation = observe(self.trace.epochs)
        if trainer.is_global_zero:
            self.trace.save(self.path)


def counted_with_padding(metrics: dict[str, float], padding: float) -> dict[str, float]:
    """Loss and accuracy over all positions, as the seed's table counts them: each padding position a right guess.

    A model trained on padding guesses it with a loss of next to nothing once end of text is past, so padding adds
    positions and hits but no loss. Shown beside the honest figures, never instead of them.
    """
    return {
        "val/padded_loss": metrics["val/loss"] * (1 - padding),
        "val/padded_accuracy": metrics["val/accuracy"] * (1 - padding) + padding,
    }
