"""A step is one mean over all of its tokens, whatever batches it was made of, and is logged with its own figures."""

import csv
import random

import lightning as L
import pytest
import torch

from sprig.checkpoint.states import state_path
from sprig.data.corpus import encode
from sprig.data.datamodule import RowsDataModule
from sprig.data.documents import Document
from sprig.data.packing import Rows, pack
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.metrics_file import MetricsFile
from training.test_module import TOKENIZER, module, rows_of, state_in, trainer


def uneven(count: int) -> Rows:
    """Rows of 2 to 31 tokens."""
    lengths = random.Random(0)
    documents = [Document("x" * lengths.randint(1, 30), str(n), str(n)) for n in range(count)]
    return pack(encode(documents, TOKENIZER), 32, "padded")


@pytest.mark.parametrize("batches", [2, 4])
def test_batches_of_unequal_tokens_make_the_step_of_one_large_batch(batches, tmp_path):
    """The last step of an epoch has fewer of them, here 4 rows instead of 8."""
    rows, trained = uneven(20), []
    for size, accumulated in ((8, 1), (8 // batches, batches)):
        model = module(name="adamw", lr=0.003)
        fit = trainer(
            tmp_path, max_epochs=2, accumulate_grad_batches=accumulated, limit_val_batches=0, precision="64-true"
        )
        fit.fit(model, RowsDataModule(rows, rows, size, seed=None, trim=False))
        assert fit.global_step == 6
        trained.append(list(model.parameters()))
    for whole, parts in zip(*trained, strict=True):
        torch.testing.assert_close(whole, parts, rtol=0, atol=1e-7)  # the loss is computed in float32


class Figures(L.Callback):
    """What each step was trained with, and came to."""

    def __init__(self) -> None:
        self.steps: dict[int, tuple[float, float]] = {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.lr = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.steps[trainer.global_step - 1] = self.lr, pl_module.train_loss.item()


class Ends(L.Callback):
    """Ends the run as a kill would, before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise SystemError


def test_what_is_logged_of_a_step_is_its_own_across_epochs_and_resumes(tmp_path):
    """Every tenth step of epochs of seven."""
    figures = Figures()

    def run(place, *callbacks: L.Callback, resume: bool = False) -> None:
        checkpoints = Checkpoints(place, lambda *_: None, state_path, "val/loss", "min", {}, every_steps=1)
        metrics = MetricsFile(place / "metrics.csv", 16 if resume else None)
        fit = trainer(place, *callbacks, checkpoints, max_epochs=5, log_every_n_steps=10, logger=[metrics])
        fit.fit(
            module(), RowsDataModule(rows_of(28), rows_of(4), 4, seed=0, trim=False),
            ckpt_path=state_in(place) if resume else None, weights_only=True,
        )  # fmt: skip

    def logged(place) -> dict[int, tuple[float, float]]:
        with (place / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["train/step_loss"]]
        return {int(row["step"]): (float(row["train/lr"]), float(row["train/step_loss"])) for row in rows}

    run(tmp_path / "whole", figures)
    whole = logged(tmp_path / "whole")
    assert list(whole) == [9, 19, 29]
    assert all(whole[step] == pytest.approx(figures.steps[step], rel=1e-6) for step in whole)
    with pytest.raises(SystemError):
        run(tmp_path / "cut", Ends(16))
    run(tmp_path / "cut", resume=True)
    assert logged(tmp_path / "cut") == whole


def test_of_accumulated_batches_the_mean_is_logged(tmp_path):
    rows, losses = uneven(12), []
    for size, accumulated in ((6, 1), (2, 3)):
        metrics = MetricsFile(tmp_path / f"{size}.csv", None)
        trainer(
            tmp_path, max_epochs=1, accumulate_grad_batches=accumulated, logger=[metrics], limit_val_batches=0,
            log_every_n_steps=1,
        ).fit(module(), RowsDataModule(rows, rows, size, seed=None, trim=False))  # fmt: skip
        with (tmp_path / f"{size}.csv").open() as file:
            losses.append([float(row["train/step_loss"]) for row in csv.DictReader(file)])
    assert len(losses[0]) == 2 and losses[0] == pytest.approx(losses[1], rel=1e-4)
