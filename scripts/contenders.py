"""Sprig, as contenders: what scripts/bench_train.py compares with scripts/peers.py.

`sprig` and `sprig-compiled` train by the main job's module in Lightning's Trainer, with none of its other callbacks,
`sprig-auto` compiles where that pays; `bare` and `bare-compiled` train in a loop with nothing else over the same model,
loss and optimiser. Each contender trains one model of a shape until the race is over.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from race import DEVICE, NARROW, Model, Race
from sprig.data.datamodule import RowsDataModule
from sprig.model.transformer import Transformer
from sprig.trace.records import Training
from sprig.training.callbacks.compilation import Compilation, compile_steps
from sprig.training.config import OptimConfig
from sprig.training.loss import LinearCrossEntropy
from sprig.training.module import LanguageModelling
from sprig.training.optim import build_optimizer
from sprig.training.precision import resolve_precision

RACER = "sprig-auto"


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
