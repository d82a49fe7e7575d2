"""Compiles the model's layers and the loss when the run is long enough to pay for it."""

import sys
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import TrainerFn

from sprig.model.transformer import Transformer
from sprig.trace.console import visible
from sprig.trace.records import Training
from sprig.training import compiler
from sprig.training.loss import LinearCrossEntropy
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes

_TIMED = 10  # steps that are timed before it is decided; the first two, which also warm up, are left out


class Compilation(L.Callback):
    """Training steps are compiled (torch.compile): the layers, which are one function compiled once, and the loss.

    Validation and generation are not: their shapes differ from batch to batch, and each would be compiled anew.
    PyTorch keeps what it compiled on disk, so that the next run of the same shapes waits less.
    """

    def __init__(self, when: bool | None, device: str, training: Training, processes: Processes | None = None) -> None:
        """when is None to decide by what is left of the run after its first steps; training.compiled tells."""
        self.when, self.device, self.training = when, device, training
        self.processes = processes or Processes()
        self.training.compiled = False
        self._before = False  # whether an earlier part of the run has decided it
        self._batches = 0  # of the whole run, as far as they count
        self._ends: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """What was decided, or after how many batches more it will be: a run that goes on rounds as it would have."""
        return {"compile": self.when, "batches": self._batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Leave it at that, where the settings do not say otherwise."""
        self._before = self.when is None
        self.when = state_dict["compile"] if self.when is None else self.when
        self._batches = state_dict.get("batches", 0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compile at once, if that was asked for."""
        self._ends = [time.perf_counter()]
        if self.when and self._before:
            self.when = self.processes.share(self._can())
        if self.when:
            self._compile(pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Decide, once there is something to judge by."""
        if self.when is not None:
            return
        self._batches += 1
        self._ends.append(time.perf_counter())
        if self._batches > _TIMED:
            warm = min(3, len(self._ends) - 2)  # the first ones also warm up
            a_batch = (self._ends[-1] - self._ends[warm]) / (len(self._ends) - 1 - warm)
            self.when = self.processes.share(pays(seconds_left(trainer, a_batch), self.device) and self._can())
            if self.when:
                self._compile(pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run as written."""
        _run_compiled(False)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run what is compiled, where training goes on."""
        _run_compiled(trainer.state.fn == TrainerFn.FITTING)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run as written: what the model is asked for now has other shapes."""
        _run_compiled(False)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave nothing behind for another run of this process."""
        _run_compiled(False)

    def _can(self) -> bool:
        """Whether compiling will not end a run that does without it; says why where it would."""
        if problem := compiler.failing(self.device):
            print(f"Layers are not compiled, which would pay: {visible(problem)}", file=sys.stderr)
        return not problem

    def _compile(self, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LanguageModelling)
        torch.compiler.reset()  # another job of this process may have had as many shapes as PyTorch bears
        _run_compiled(True)
        compile_steps(pl_module.transformer, pl_module.loss)
        self.training.compiled = True


def _run_compiled(yes: bool) -> None:
    torch.compiler.set_stance("default" if yes else "force_eager")


def compile_steps(transformer: Transformer, loss: LinearCrossEntropy) -> None:
    """Compile what a training step spends its time in, when it is first run; the parameters keep their names."""
    for layer in transformer.model.layers:
        layer.compile()
    loss.compile()


def seconds_left(trainer: L.Trainer, a_batch: float) -> float:
    """Of training, where a batch takes so many seconds; infinite where nothing ends the run."""
    steps = trainer.estimated_stepping_batches
    left = float("inf")
    if 0 < steps < float("inf"):
        left = (steps - trainer.global_step) * trainer.accumulate_grad_batches * a_batch
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer) and (remaining := callback.time_remaining()) is not None:
            left = min(left, remaining)
    return left


def pays(seconds: float, device: str) -> bool:
    """Whether compiling shortens what would take so many seconds.

    On two cores compiling took 21 s the first time and 3 s from PyTorch's cache, and steps took 22 to 27% less time
    afterwards with model=base, 33 to 43% with model=small; on an H200 16 s and 7 s, and half as much time
    (docs/performance.md, docs/experiments.md).
    """
    return seconds * (1 / 3 if device == "cpu" else 0.5) > 20
