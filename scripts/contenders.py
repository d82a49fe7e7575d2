"""Sprig and its race: what scripts/bench_train.py compares with scripts/peers.py.

`sprig` and `sprig-compiled` train by the main job's module in Lightning's Trainer, with none of its other callbacks,
`sprig-auto` compiles where that pays; `bare` and
`bare-compiled` train in a loop with nothing else over the same model, loss and optimiser. Each contender trains one
model of a shape until the race is over.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.datamodule import RowsDataModule
from sprig.data.loading import Batch, BatchLoader
from sprig.data.prepared import Prepared
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.trace.records import Training
from sprig.training.callbacks.compilation import Compilation, compile_steps
from sprig.training.config import OptimConfig
from sprig.training.loss import LinearCrossEntropy
from sprig.training.module import LanguageModelling
from sprig.training.optim import build_optimizer
from sprig.training.precision import fast_bfloat16, resolve_precision

Model = Callable[[torch.Tensor], torch.Tensor]
"""Token ids (B, T) to logits (B, T, V)."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NARROW = fast_bfloat16(DEVICE)
WARM = 3  # steps that are not timed
RACER = "sprig-auto"


@dataclass
class Race:
    """What all contenders are given, and the clock of the one that runs."""

    data: Prepared
    shape: ModelConfig
    batch_size: int
    steps: int
    seconds: float | None
    seed: int = 0
    ends: list[float] = field(default_factory=list)
    events: list[torch.cuda.Event] = field(default_factory=list)
    """The same on a GPU, which a loop that reads nothing back runs ahead of."""

    def start(self) -> None:
        """Begin to count."""
        self.ends, self.events = [], []
        self.mark()

    def mark(self) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())
        if DEVICE == "cuda":
            self.events.append(torch.cuda.Event(enable_timing=True))
            self.events[-1].record()

    def batches(self) -> Iterator[Batch]:
        """Epoch after epoch until the end."""
        loader = BatchLoader(self.data.train, self.batch_size, seed=self.seed, trim=False)
        self.start()
        while True:
            for batch in loader:
                yield batch.to(torch.device(DEVICE))
                self.mark()
                if self.over:
                    return

    @property
    def over(self) -> bool:
        """Whether the contender has to stop."""
        if self.seconds is None:
            return len(self.ends) > self.steps
        return self.ends[-1] - self.ends[0] > self.seconds

    @property
    def lost(self) -> float:
        """Seconds by which the first steps took longer than others: warming up, compiling."""
        return self.ends[WARM] - self.ends[0] - WARM * self.batch_size * self.shape.max_position_embeddings / self.pace

    @property
    def pace(self) -> float:
        """Tokens a second, by the median step."""
        steps = [after - before for before, after in pairwise(self.ends[WARM:])]
        if self.events:
            torch.cuda.synchronize()
            steps = [before.elapsed_time(after) / 1000 for before, after in pairwise(self.events[WARM:])]
        return self.batch_size * self.shape.max_position_embeddings / statistics.median(steps)


class Clock(L.Callback):
    """Marks the ends of Lightning's steps."""

    def __init__(self, race: Race) -> None:
        self.race = race

    def on_train_start(self, *_: Any) -> None:
        """Start."""
        self.race.start()

    def on_train_batch_end(self, *_: Any) -> None:
        """Mark."""
        self.race.mark()


def sprig(race: Race, compiled: bool | None = False) -> Model:
    """Sprig's module, data and compilation in Lightning's Trainer; the learning rate falls by the clock."""
    model = Transformer(race.shape)
    module = LanguageModelling(
        model, OptimConfig(), ["loss"], race.data.tokenizer.token_bytes,
        optimizer_dtype=torch.bfloat16 if NARROW else torch.float32,
    )  # fmt: skip
    rows = RowsDataModule(race.data.train, race.data.val, race.batch_size, seed=race.seed, trim=False)
    compilation = Compilation(compiled, DEVICE, Training())
    limits: dict[str, Any] = (
        {"max_steps": race.steps} if race.seconds is None else {"max_time": {"seconds": race.seconds}}
    )
    L.Trainer(
        accelerator="auto", devices=1, precision=resolve_precision("auto", DEVICE), logger=False, max_epochs=-1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, limit_val_batches=0,
        gradient_clip_val=1.0, callbacks=[compilation, Clock(race)],
        **limits,
    ).fit(module, datamodule=rows)  # fmt: skip
    return model.to(DEVICE)


def bare(race: Race, compiled: bool = False) -> Model:
    """The same in a loop of its own, at one learning rate: what Lightning costs is the difference."""
    model = Transformer(race.shape).to(DEVICE)
    optimizer = build_optimizer(model, OptimConfig(), torch.bfloat16 if NARROW else torch.float32)
    loss_of = LinearCrossEntropy()
    if compiled:
        compile_steps(model, loss_of)
    for batch in race.batches():
        with torch.autocast(DEVICE, torch.bfloat16, enabled=NARROW):
            loss = loss_of(model.model(batch.input_ids), model.lm_head.weight, batch.targets).total
        step_with(loss, model, optimizer)
    return model


def step_with(loss: torch.Tensor, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The rest of a plain loop's step."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


OURS: dict[str, Callable[[Race], Model]] = {
    "sprig": sprig,
    "sprig-compiled": lambda race: sprig(race, compiled=True),
    RACER: lambda race: sprig(race, compiled=None),
    "bare": bare,
    "bare-compiled": lambda race: bare(race, compiled=True),
}
