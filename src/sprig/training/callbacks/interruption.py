"""Ctrl-C and SIGTERM: finish the step, save, stop."""

import os
import signal
from types import FrameType
from typing import Any

import lightning as L

from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes


class Stopped(Exception):
    """Raised between two steps after a signal, once the run is saved."""


class Interruption(L.Callback):
    """The first signal asks for an orderly end; a second one ends at once, as it would without us."""

    signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, checkpoints: Checkpoints, processes: Processes | None = None) -> None:
        """Of several processes, all stop after the same step, whichever of them got the signal."""
        self.checkpoints, self.processes = checkpoints, processes or Processes()
        self.asked = False
        self._former: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen."""
        # Lightning's own way to stop together makes every step wait for the device; here this callback does it.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        for number in self.signals:
            self._former[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.processes.rank:
            # Not print: the signal may have come in the middle of one.
            os.write(2, b"\nThe step or the validation is finished first, then all is saved. Once more ends at once.\n")
        self._restore()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Between two steps, do as asked; after an epoch's last step its validation comes first."""
        if self.processes.any(self.asked) and not trainer.is_last_batch:
            assert isinstance(pl_module, LanguageModelling)
            self.checkpoints.save_last(trainer, pl_module, {})
            raise Stopped

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After a validation, do as asked: the callback that keeps checkpoints has just saved."""
        if self.processes.any(self.asked):
            raise Stopped

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Listen no more."""
        self._restore()

    def _restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former.clear()
