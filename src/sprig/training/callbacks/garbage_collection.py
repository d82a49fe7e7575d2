"""Keeps Python's search for reference cycles out of the steps: it comes at quiet moments instead of random ones."""

import gc
from typing import Any

import lightning as L

_EVERY = 1000  # batches


class GarbageCollection(L.Callback):
    """While steps are trained, Python looks for reference cycles every 1000 batches and after validations only.

    Left alone, it stops a step whenever enough objects have been made: each process at a step of its own, and the
    others wait for it. What was there before training is frozen, so that a search is over in a millisecond instead of
    the tenths of a second that all of PyTorch's objects take. A step leaves no cycles behind (in 5,000 steps none was
    found, and memory stayed as it was): the search every 1000 batches is for what a callback might leave.

    A validation runs with automatic collection, as it makes many more objects; so does all that follows training.
    """

    def __init__(self) -> None:
        self._was_enabled: bool | None = None  # None while it is not for us to decide

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set what is there apart, and take over."""
        self._was_enabled = gc.isenabled()
        gc.collect()
        gc.freeze()
        gc.disable()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Collect now and then, in all processes after the same step."""
        if trainer.fit_loop.total_batch_idx % _EVERY == _EVERY - 1:
            gc.collect()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the validation to Python."""
        if self._was_enabled:
            gc.enable()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Collect what it has left."""
        if self._was_enabled is not None:
            gc.collect()
            gc.disable()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave all to Python again."""
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """The same."""
        self._restore()

    def _restore(self) -> None:
        if self._was_enabled is None:
            return
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()
        self._was_enabled = None
