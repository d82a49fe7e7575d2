"""Keeps the run: checkpoints/best and checkpoints/last to use, checkpoints/states to go on from.

How a state gets to the disk is the business of the Trainer's CheckpointIO; when, and what of, is decided here.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from sprig.model.transformer import Transformer
from sprig.training.accumulation import window_closed
from sprig.training.module import LanguageModelling
from sprig.training.processes import FailedElsewhere, Processes


class NotSaved(OSError):
    """The disk did not take the end of a run; the message says which step, where and why."""


class Checkpoints(L.Callback):
    """Saves after each validation, and between them by time and steps."""

    def __init__(
        self,
        directory: Path,
        save: Callable[[Path, Transformer, dict[str, Any]], None],
        state_path: Callable[[Path, int], Path],
        monitor: str,
        mode: str,
        identity: dict[str, Any],
        processes: Processes | None = None,
        *,
        every_minutes: float | None = None,
        every_steps: int | None = None,
    ) -> None:
        """`save(directory, transformer, metrics)` writes a checkpoint directory.

        `state_path(directory, step)` is where the trainer's CheckpointIO expects the state after so many steps.
        monitor is the metric by which "best" is decided, mode "min" or "max" says which way.
        identity says in JSON's types what is trained, and on what: a run goes on with the same and with nothing else.
        Of several processes, all save at the same time, and what rank 0 cannot write is not saved in any of them.
        """
        self.identity = {name: json.dumps(value, sort_keys=True) for name, value in identity.items()}
        self.directory, self.save, self.monitor, self.mode = directory, save, monitor, mode
        self.every_minutes, self.every_steps = every_minutes, every_steps
        self.processes = processes or Processes()
        self.best: float | None = None
        self.best_step: int | None = None
        self.saved_step = 0
        """The step of the newest state that is on the disk; 0 if there is none."""
        self._state_path = state_path
        self._tried_step, self._tried_at = 0, 0.0
        self._unwritten = False  # figures of the saved step
        self._postponed = False  # a validation came amid a step, whose gradients are in no state

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know of the best so far."""
        return {"best": self.best, "best_step": self.best_step, "identity": self.identity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]

    def check_resumable(self, path: Path) -> None:
        """ValueError, in two lines at most, for a file that is no state of a run, or of a run that was another.

        With other data, what was trained on could be held out now; other settings would be overruled by the state.
        """
        try:
            kept = torch.load(path, weights_only=True, mmap=True, map_location="cpu")["callbacks"][self.state_key]
            identity = dict(kept["identity"])
        except Exception as error:  # of zip files, of unpickling, of what is in them: too many kinds to name
            raise ValueError(
                f"{path} is damaged, or no state of a run of Sprig's ({type(error).__name__}).\n"
                f"What it had learnt may still be in {self.directory / 'best'} and {self.directory / 'last'}."
            ) from error
        # What a state of before does not name was not asked for then.
        changed = [name for name, value in self.identity.items() if identity.get(name, value) != value]
        if changed:
            raise ValueError(
                f"This is not what the run was trained on and with (changed: {', '.join(changed)}), so it cannot go "
                f"on: restore the data and the settings, or start a new run."
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start counting; what a run goes on from is on the disk."""
        self.saved_step = self._tried_step = trainer.global_step
        self._tried_at = time.monotonic()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Bring the figures of the step that was saved to the disk as well: they are logged after its end."""
        if self._unwritten:
            self._unwritten = False
            for logger in trainer.loggers:
                logger.save()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Save if it is time."""
        assert isinstance(pl_module, LanguageModelling)
        if between_steps(trainer) and (self._postponed or self._due(trainer.global_step)):
            with self._going_on(trainer, pl_module):
                self.save_last(trainer, pl_module, {})

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the newest state, and the best if it is."""
        assert isinstance(pl_module, LanguageModelling)
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        with self._going_on(trainer, pl_module):
            self._save_best(trainer, pl_module, metrics)
            self._postponed = not window_closed(trainer)
            if not self._postponed:
                self.save_last(trainer, pl_module, metrics)
        if self.monitor not in metrics:
            raise ValueError(f"callbacks.monitor={self.monitor!r} was not measured. There are: {', '.join(metrics)}.")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what no validation has saved: a run never ends with nothing to show for it."""
        assert isinstance(pl_module, LanguageModelling)
        if self.saved_step != trainer.global_step:
            self.save_end(trainer, pl_module)

    def save_end(self, trainer: L.Trainer, pl_module: LanguageModelling) -> None:
        """Save before the run ends; NotSaved if that is impossible."""
        try:
            self.save_last(trainer, pl_module, {})
        except OSError as error:
            if not trainer.is_global_zero:
                raise FailedElsewhere(1) from error
            raise NotSaved(self._unsaved(trainer, pl_module, error)) from error

    def save_last(self, trainer: L.Trainer, pl_module: LanguageModelling, metrics: dict[str, float]) -> None:
        """Save the newest state, to use (checkpoints/last) and to go on from (checkpoints/states).

        ValueError for a state that is not finite, OSError where the disk does not take it: what was there stays.
        """
        self._postponed, self._tried_step, self._tried_at = False, trainer.global_step, time.monotonic()
        self._check_finite(trainer, pl_module)
        self._save("last", trainer, pl_module, metrics)
        failure = None
        try:
            trainer.save_checkpoint(self._state_path(self.directory / "states", trainer.global_step))
        except OSError as error:
            failure = error
            trainer.strategy.barrier()  # where Lightning lets the others wait for the one that writes
        self._raise(failure)
        self.saved_step = trainer.global_step
        self._unwritten = True

    def _save_best(self, trainer: L.Trainer, module: LanguageModelling, metrics: dict[str, float]) -> None:
        value = metrics.get(self.monitor, math.nan)
        better = self.best is None or (value < self.best if self.mode == "min" else value > self.best)
        if better and math.isfinite(value):
            self._save("best", trainer, module, metrics)
            self.best, self.best_step = value, trainer.global_step

    def _due(self, step: int) -> bool:
        if self.every_steps is not None and step - self._tried_step >= self.every_steps:
            return True
        if self.every_minutes is None:
            return False
        # Processes have clocks of their own and an answer may be late: one to before the last save asks for a step
        # that is not after it.
        late = time.monotonic() - self._tried_at >= 60 * self.every_minutes
        return self.processes.largest("save", self._tried_step + 1 if late else 0) > self._tried_step

    @contextmanager
    def _going_on(self, trainer: L.Trainer, module: LanguageModelling) -> Iterator[None]:
        """Say that the disk did not take a save that will be tried again, and let training go on."""
        try:
            yield
        except OSError as error:
            if trainer.is_global_zero:
                print(f"{self._unsaved(trainer, module, error)} Training goes on.", file=sys.stderr)

    def _unsaved(self, trainer: L.Trainer, module: LanguageModelling, error: OSError) -> str:
        size = sum(tensor.nbytes for _, tensor in _tensors(trainer, module))
        return (
            f"Step {trainer.global_step} could not be saved in {self.directory}: {error.strerror or error}. "
            f"What was saved before is whole; a save takes {2 * size / 1e6:,.0f} MB there."
        )

    def _check_finite(self, trainer: L.Trainer, module: LanguageModelling) -> None:
        found = (name for name, tensor in _tensors(trainer, module) if not _local(tensor).isfinite().all())
        bad = next((name for name in self.processes.gather(next(found, None)) if name), None)
        if bad is None:
            return
        if not trainer.is_global_zero:
            raise FailedElsewhere(1)
        kept = f"the state after step {self.saved_step} stays" if self.saved_step else "nothing was saved before"
        raise ValueError(
            f"{bad} is not finite after step {trainer.global_step}: training has diverged.\n"
            f"That is not saved, {kept}. A lower optim.lr helps, in a new run."
        )

    def _raise(self, failure: OSError | None) -> None:
        """Raise in all processes what the disk refused to the one that writes."""
        failure = self.processes.share(failure)
        if failure is not None:
            raise failure

    def _save(self, name: str, trainer: L.Trainer, module: LanguageModelling, metrics: dict[str, float]) -> None:
        whole = module.whole_transformer()
        failure = None
        if trainer.is_global_zero:
            try:
                self.save(self.directory / name, whole, self._facts(module, metrics))
            except OSError as error:
                failure = error
        self._raise(failure)

    @staticmethod
    def _facts(module: LanguageModelling, metrics: dict[str, float]) -> dict[str, Any]:
        known = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        return {"step": module.global_step, "epoch": module.epoch_number, "metrics": known}


def between_steps(trainer: L.Trainer) -> bool:
    """Whether, at the end of a batch, neither more gradients for its step nor a validation are the next thing.

    A run that went on from a state that was saved before its validation would leave that validation out.
    """
    every = trainer.check_val_every_n_epoch
    batches = trainer.fit_loop.total_batch_idx if every is None else trainer.fit_loop.batch_idx
    measured = trainer.enable_validation and (every is None or (trainer.current_epoch + 1) % every == 0)
    validates = measured and trainer.val_check_batch is not None and (batches + 1) % trainer.val_check_batch == 0
    return window_closed(trainer) and not validates


def _tensors(trainer: L.Trainer, module: LanguageModelling) -> Iterator[tuple[str, Tensor]]:
    """The floating-point tensors of a state: weights and the optimiser's own."""
    yield from module.transformer.named_parameters()
    if module.averaged is not None:
        yield from module.averaged.named_parameters("averaged")
    for optimizer in trainer.optimizers:
        for state in optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.is_floating_point():
                    yield f"The optimiser's {name}", value


def _local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
