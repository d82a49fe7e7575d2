"""Writes the epochs of a run into its trace."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L

from sprig.trace.observations import observe
from sprig.trace.records import Epoch, Trace
from sprig.training.module import LanguageModelling


class Tracing(L.Callback):
    """After each validation appends an Epoch to trace.epochs and saves the trace to path."""

    def __init__(self, trace: Trace, path: Path, run_seconds: Callable[[], float] = lambda: 0.0) -> None:
        """run_seconds tells how long the run has taken by now, with what is not training."""
        self.trace, self.path, self._run_seconds = trace, path, run_seconds
        self.seconds = 0.0
        """Since the start of training, as of the last validation or save; earlier parts of a resumed run included."""
        self.validation_seconds = 0.0
        """Spent in all validations so far."""
        self._start: float | None = None
        self._known: int | None = None  # epochs in the trace as of the state
        self._validation_start = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock, where an earlier part of the run left it."""
        self._run_clock()
        # A run that was killed after it has traced epochs that its state does not know: they come again.
        known = [epoch for epoch in self.trace.epochs if epoch.step <= trainer.global_step]
        self.trace.epochs[:] = known[: self._known]

    def state_dict(self) -> dict[str, Any]:
        """The clocks; before training there is nothing to keep."""
        self._run_clock()
        times = {"seconds": self.seconds, "validation_seconds": self.validation_seconds}
        return times | {"run_seconds": self._run_seconds(), "epochs": len(self.trace.epochs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set them where they stood."""
        self.seconds, self.validation_seconds = state_dict["seconds"], state_dict["validation_seconds"]
        self._known = state_dict.get("epochs")
        # A part that was killed has left its time nowhere else.
        self.trace.run.seconds = max(self.trace.run.seconds or 0.0, state_dict.get("run_seconds", 0.0))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the validation, which may be all that a run goes on with."""
        self._run_clock()
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the figures of this validation."""
        self.validation_seconds += time.perf_counter() - self._validation_start
        self._run_clock()
        assert isinstance(pl_module, LanguageModelling)
        metrics = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/") or name == "train/loss"
        }
        epoch = Epoch(
            epoch=pl_module.epoch_number,
            step=trainer.global_step,
            tokens=pl_module.tokens_seen,
            seconds=self.seconds,
            metrics=metrics,
        )
        self.trace.epochs.append(epoch)
        epoch.observation = observe(self.trace.epochs)
        if trainer.is_global_zero:
            try:
                self.trace.save(self.path)
            except OSError as error:  # it has all of this the next time
                print(f"{self.path} could not be written: {error.strerror}. Training goes on.", file=sys.stderr)

    def _run_clock(self) -> None:
        """Start the clock if it stands, and read it."""
        now = time.perf_counter()
        if self._start is None:
            self._start = now - self.seconds
        self.seconds = now - self._start
