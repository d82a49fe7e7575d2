"""Records how the steps of training went: what was left out, where the loss jumped, what the machine made of it."""

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L
from torch import Tensor, stack

from sprig.data.loading import Batch
from sprig.trace.records import Spike, Training
from sprig.training.accumulation import window_closed
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes
from sprig.training.throughput import Machine, peak_memory

_MEMORY = 0.98  # of the running mean and variance: they remember some 50 steps
_SETTLED = 50  # steps before which no loss is called a spike
_DEVIATIONS = 6.0


class Observing(L.Callback):
    """Fills in trace.training, at each validation and at the end."""

    def __init__(self, training: Training, machine: Machine, device: str, processes: Processes | None = None) -> None:
        """Of several processes, the loss of a step is that of all their tokens."""
        self.training, self.machine, self.device = training, machine, device
        self.processes = processes or Processes()
        self.training.matmul_peak = machine.peak
        self._steps: list[int] = []
        self._tokens: list[int] = []  # of those steps, in this process
        self._losses: list[Tensor] = []  # theirs, on the device: each is read with many others
        self._spikes = _Spikes()
        self._resumed_tokens: int | None = None
        self._began = self._trained = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The spikes so far, and what tells the next one."""
        self._read()
        return {"spikes": [asdict(spike) for spike in self.training.spikes], "usual": asdict(self._spikes)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.training.spikes = [Spike(**spike) for spike in state_dict["spikes"]]
        self._spikes = _Spikes(**state_dict["usual"])

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock of the step."""
        assert isinstance(pl_module, LanguageModelling)
        if self._resumed_tokens is None:
            self._resumed_tokens = pl_module.tokens_seen
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the loss; read those kept every trainer.log_every_n_steps."""
        assert isinstance(pl_module, LanguageModelling) and pl_module.train_loss is not None
        self._steps.append(trainer.global_step + (not window_closed(trainer)))
        self._tokens.append(batch.tokens)
        self._losses.append(pl_module.train_loss)
        if len(self._losses) >= trainer.log_every_n_steps:  # type: ignore[attr-defined]
            self._read()
        self._trained += time.perf_counter() - self._began

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fill in what is known so far: the trace is saved after the validation."""
        self._fill_in(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fill in the rest."""
        self._fill_in(trainer, pl_module)

    def _fill_in(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LanguageModelling)
        self._read()
        training = self.training
        training.skipped_steps = pl_module.skipped_steps
        training.peak_memory = peak_memory(self.device)
        if self._trained and self._resumed_tokens is not None:
            training.tokens_per_second = (pl_module.tokens_seen - self._resumed_tokens) / self._trained
            training.flop_utilisation = self.machine.utilisation(training.tokens_per_second)

    def _read(self) -> None:
        if self._losses:
            each = self.processes.gather((stack(self._losses).tolist(), self._tokens))
            losses = [
                sum(loss * tokens for loss, tokens in step) / max(1, sum(tokens for _, tokens in step))
                for step in zip(*(zip(*one, strict=True) for one in each), strict=True)
            ]
            self.training.spikes += self._spikes.found(self._steps, losses)
            for kept in (self._steps, self._tokens, self._losses):
                kept.clear()


@dataclass
class _Spikes:
    """Losses far above those before them."""

    seen: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def found(self, steps: Iterable[int], losses: list[float]) -> list[Spike]:
        """Those among the losses of steps; a loss that is not finite is skipped, not a spike."""
        spikes = []
        for step, loss in zip(steps, losses, strict=False):
            if not math.isfinite(loss):
                continue
            above = loss - self.mean
            if self.seen >= _SETTLED and above > _DEVIATIONS * self.variance**0.5:
                spikes.append(Spike(step, loss, self.mean))
                continue  # what is usual is not learnt from it
            self.seen += 1
            share = max(1 - _MEMORY, 1 / self.seen)
            self.mean += share * above
            self.variance = (1 - share) * (self.variance + share * above**2)
        return spikes
