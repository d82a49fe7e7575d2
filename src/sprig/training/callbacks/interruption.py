"""Ctrl-C, SIGTERM and SIGUSR1: finish the step, save, stop."""

import os
import signal
from types import FrameType
from typing import Any, ClassVar

import lightning as L

from sprig.training.callbacks.checkpoints import Checkpoints, between_steps, window_closed
from sprig.training.module import LanguageModelling


class Stopped(Exception):
    """Raised between two steps after a signal, once the run is saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class Interruption(L.Callback):
    """The first signal asks for an orderly end; a second one ends at once, as it would without us."""

    defaults: ClassVar[dict[signal.Signals, Any]] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGUSR1: signal.SIG_DFL,  # what SLURM can be told to send before the time is up
    }

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self.asked: int | None = None
        """The number of the signal that asked."""
        self._saved = False
        self._former: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen."""
        for number in self.defaults:
            self._former[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nThe step or the validation is finished first, then all is saved. Once more ends at once.\n")
        for listened, default in self.defaults.items():  # not the former handlers: Lightning's only note a SIGTERM
            signal.signal(listened, default)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Between two steps, save as asked; a validation that is due comes first."""
        if self.asked and between_steps(trainer):
            assert isinstance(pl_module, LanguageModelling)
            self.checkpoints.save_end(trainer, pl_module)
            self._saved = True

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Stop once it is saved: only now has Lightning logged the figures of the step before."""
        if self.asked and self._saved:
            raise Stopped(self.asked)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After a validation, do as asked: the callback that keeps checkpoints has just saved, or tried to."""
        if self.asked and window_closed(trainer):
            assert isinstance(pl_module, LanguageModelling)
            if self.checkpoints.saved_step != trainer.global_step:
                self.checkpoints.save_end(trainer, pl_module)
            raise Stopped(self.asked)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Listen no more."""
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former.clear()
