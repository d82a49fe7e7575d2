"""Ctrl-C, SIGTERM and SIGUSR1: finish the step, save, stop."""

import os
import signal
import time
from contextlib import suppress
from types import FrameType
from typing import Any, ClassVar

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from sprig.training.accumulation import window_closed
from sprig.training.callbacks.checkpoints import Checkpoints, between_steps
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes

_ONE = 1.0  # seconds within which a signal is still the same: `pkill` and systemd reach a process and who hands it on


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

    def __init__(self, checkpoints: Checkpoints, processes: Processes | None = None) -> None:
        """Of several processes, all stop after the same step, whichever of them got the signal."""
        self.checkpoints, self.processes = checkpoints, processes or Processes()
        self.asked: int | None = None
        """The number of the signal that asked."""
        self._agreed = 0  # the number on which all processes act
        self._saved = False
        self._asked_at = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen."""
        # Lightning's own way to stop together makes every step wait for the device; here this callback does it.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        for number in self.defaults:  # Lightning puts back what was there before it
            signal.signal(number, self._ask)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """In a validation after training, stop at once: all is saved."""
        if trainer.state.fn != TrainerFn.FITTING:
            for number in self.defaults:
                signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked, self._asked_at = number, time.monotonic()
        if not self.processes.rank:
            # Not print: the signal may have come in the middle of one.
            with suppress(OSError):  # the same signal may have ended who reads it
                os.write(
                    2, b"\nThe step or the validation is finished first, then all is saved. Once more ends at once.\n"
                )
        for listened in self.defaults:
            signal.signal(listened, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self._asked_at < _ONE:
            return
        for listened, default in self.defaults.items():  # not the former handlers: Lightning's only note a SIGTERM
            signal.signal(listened, default)
        signal.raise_signal(number)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Between two steps, save as asked; a validation that is due comes first."""
        self._agreed = self.processes.largest("stop", self.asked or 0)
        if self._agreed and between_steps(trainer):
            assert isinstance(pl_module, LanguageModelling)
            self.checkpoints.save_end(trainer, pl_module)
            self._saved = True

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Stop once it is saved: only now has Lightning logged the figures of the step before."""
        if self._saved:
            raise Stopped(self._agreed)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After a validation, do as asked: the callback that keeps checkpoints has just saved, or tried to."""
        self._agreed = self.processes.largest("stop", self.asked or 0)
        if self._agreed and window_closed(trainer):
            assert isinstance(pl_module, LanguageModelling)
            if self.checkpoints.saved_step != trainer.global_step:
                self.checkpoints.save_end(trainer, pl_module)
            raise Stopped(self._agreed)
