"""Ends a run by the clock."""

from datetime import timedelta

import lightning as L
from lightning.pytorch.callbacks import Timer

from sprig.training.accumulation import window_closed
from sprig.training.processes import Processes


class WallClock(Timer):
    """Lightning's timer, but of several processes all stop after the same step, and no step waits to hear of it."""

    def __init__(self, duration: str | timedelta, processes: Processes | None = None) -> None:
        """duration is trainer.max_time, DD:HH:MM:SS of training and the validations in between."""
        super().__init__(duration)
        self._processes = processes or Processes()

    def _check_time_remaining(self, trainer: L.Trainer) -> None:
        remaining = self.time_remaining()
        assert remaining is not None
        over = remaining <= 0
        # Not amid a step: the gradients of its batches so far would be lost.
        if self._processes.largest("time is over", int(over)) and window_closed(trainer):
            trainer.should_stop = True
