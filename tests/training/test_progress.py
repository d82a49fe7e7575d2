import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from sprig.data.corpus import Corpus
from sprig.data.datamodule import RowsDataModule
from sprig.data.loading import Batch
from sprig.data.packing import Rows, pack
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.trace.console import open_console
from sprig.training.callbacks.progress import Progress
from sprig.training.callbacks.progress_display import PlainLines, Status
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling

TOKENS = 12  # of each row, the rest is padding
BATCH = 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other make a tiny model's steps a hundred times slower where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Clock(L.Callback):
    """Time that passes only while batches are computed."""

    def __init__(self, train: float = 1.0, val: float = 0.0) -> None:
        self.now, self.train, self.val = 0.0, train, val

    def __call__(self) -> float:
        return self.now

    def on_train_batch_start(self, *_: Any) -> None:
        self.now += self.train

    def on_validation_batch_start(self, *_: Any) -> None:
        self.now += self.val


class Failing(L.Callback):
    def on_train_batch_end(self, *_: Any) -> None:
        raise RuntimeError("out of luck")


def rows(batches: int) -> Rows:
    count = batches * BATCH
    ids = np.random.default_rng(0).integers(2, 30, count * TOKENS)
    return pack(Corpus(ids, np.arange(count + 1) * TOKENS, np.zeros(count, np.int32)), 16, "padded")


def fit(
    clock: Clock,
    console: Console,
    *others: L.Callback,
    batches: int = 8,
    module: type[LanguageModelling] = LanguageModelling,
    **settings: Any,
) -> None:
    """Train a tiny model and let Progress draw on console."""
    model = Transformer(ModelConfig(30, 8, 8, 1, 1, 1, 8, max_position_embeddings=16))
    trainer = L.Trainer(
        **{"max_epochs": 1} | settings,
        callbacks=[Progress(console, clock), clock, *others],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        module(model, OptimConfig(), ["loss", "accuracy"], [1] * 30),
        datamodule=RowsDataModule(rows(batches), rows(2), BATCH, seed=0, trim=False),
    )


def lines(clock: Clock, *others: L.Callback, **settings: Any) -> list[str]:
    """What is printed where there is no terminal."""
    console = open_console(io.StringIO())
    fit(clock, console, *others, **settings)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, soft_wrap=True)


def screen(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_short_epochs_have_a_line_of_training_and_one_of_validation_each() -> None:
    printed = lines(Clock(train=0.1), max_epochs=2)
    assert [re.sub(r"\d+\.\d+", "N", line) for line in printed] == [
        "epoch 1/2  step 8/16  loss N  480 tokens/s  0:00:00 elapsed  0:00:00 left",
        "epoch 1/2  step 8  train loss N  val loss N  accuracy N",
        "epoch 2/2  step 16/16  loss N  480 tokens/s  0:00:01 elapsed  0:00:00 left",
        "epoch 2/2  step 16  train loss N  val loss N  accuracy N",
    ]


def test_long_epochs_have_a_line_every_tenth_and_never_within_five_seconds() -> None:
    def steps(seconds: float) -> list[int]:
        printed = lines(Clock(train=seconds), batches=60, limit_val_batches=0)
        return [int(step) for line in printed for step in re.findall(r"step (\d+)/60", line)]

    assert steps(10.0) == list(range(6, 61, 6))  # a tenth takes a minute
    assert steps(0.5) == list(range(10, 61, 10))  # a tenth takes three seconds


def test_an_epoch_that_is_not_validated_has_its_line_too() -> None:
    printed = lines(Clock(train=0.1), max_epochs=3, limit_val_batches=0)
    assert [line[:20] for line in printed] == [f"epoch {n}/3  step {8 * n}/24".ljust(20)[:20] for n in (1, 2, 3)]


def test_tokens_per_second_count_neither_padding_nor_the_time_of_validation() -> None:
    printed = lines(Clock(train=1.0, val=500.0), max_epochs=3)
    assert set(re.findall(r"\S+ tokens/s", "\n".join(printed))) == {f"{BATCH * TOKENS} tokens/s"}


def test_the_time_left_counts_on_as_much_validation_as_there_was() -> None:
    printed = lines(Clock(train=0.1, val=2.0), max_epochs=4)
    [status] = [line for line in printed if line.startswith("epoch 2/4  step 16/32")]
    # 16 steps of 0.1 s and one validation of 4 s are behind, and as much is counted ahead.
    assert "0:00:05 elapsed  0:00:05 left" in status


def test_pace_is_that_of_the_last_seconds_and_not_of_a_slow_start() -> None:
    class Compiling(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
            clock.now += 100.0 * (trainer.global_step == 0)

    clock = Clock(train=1.0)
    printed = lines(clock, Compiling(), batches=40, limit_val_batches=0)
    assert f"{BATCH * TOKENS} tokens/s" in printed[-1]


def test_the_loss_is_read_at_most_every_half_second() -> None:
    reads = []

    class Loss:
        def item(self) -> float:
            reads.append(1)
            return 1.0

    class Watched(LanguageModelling):
        def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            self.train_loss = Loss()  # type: ignore[assignment]
            return loss

    lines(Clock(train=0.01), module=Watched, batches=100, limit_val_batches=0)
    assert len(reads) <= 4  # one second of steps, and the end of the epoch


@pytest.mark.parametrize(
    ("settings", "total"),
    [
        ({"max_epochs": -1, "max_steps": 5}, "epoch 1  step 5/5"),
        ({"max_epochs": 2, "max_steps": 12}, "epoch 2  step 12/12"),
        ({"max_epochs": 2, "limit_train_batches": 3}, "epoch 2/2  step 6/6"),
        ({"max_epochs": 2, "accumulate_grad_batches": 3}, "epoch 2/2  step 6/6"),
        ({"max_epochs": 1, "val_check_interval": 8}, "epoch 1/1  step 8/8"),
    ],
)
def test_steps_are_counted_to_where_the_run_ends(settings: dict[str, Any], total: str) -> None:
    printed = lines(Clock(train=0.1), **settings)
    assert [line for line in printed if "tokens/s" in line][-1].startswith(f"{total}  loss")


def test_each_validation_within_an_epoch_has_its_line() -> None:
    printed = lines(Clock(train=0.1), val_check_interval=2)
    assert [line.split("  ")[1] for line in printed if "val loss" in line] == ["step 2", "step 4", "step 6", "step 8"]


def test_a_run_of_unknown_length_shows_steps_without_a_total() -> None:
    console = open_console(io.StringIO())
    PlainLines(console).train(Status("epoch 1", 3, None, float("inf"), None, None, None, None, 0, 9.0, None), due=True)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "epoch 1  step 3  loss -  0:00:09 elapsed\n"


def test_a_terminal_gets_bars_and_keeps_only_the_lines_of_validation() -> None:
    console = terminal()
    fit(Clock(), console, max_epochs=2)
    drawn = screen(console)
    assert re.search(r"epoch 1/2 .*8/16.*loss .*48 tokens/s.*0:00:08.*0:00:08 left", plain(drawn))
    assert re.search(r"validation .*1/2", plain(drawn))
    assert re.search(r"epoch 2/2 .*16/16.*0:00:16.*0:00:00 left", plain(drawn))  # time goes on from bar to bar
    assert [line[:18] for line in left_on(drawn)] == ["epoch 1/2  step 8 ", "epoch 2/2  step 16"]
    assert drawn.rfind("\x1b[?25h") > drawn.rfind("\x1b[?25l")  # the cursor is shown again


def test_a_failure_leaves_the_terminal_as_it_was() -> None:
    console, stdout = terminal(), sys.stdout
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(Clock(), console, Failing())
    drawn = screen(console)
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1
    assert left_on(drawn) == []
    assert sys.stdout is stdout


def test_other_processes_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L.Trainer, "is_global_zero", property(lambda trainer: False))
    assert lines(Clock()) == []


def plain(drawn: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)


def left_on(drawn: str) -> list[str]:
    """The lines that a terminal would show in the end, going by what rich writes: up, erase, return, newline."""
    rows, row = [""], 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r|\n)", drawn):
        if piece == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif piece == "\x1b[1A":
            row -= 1
        elif piece == "\x1b[2K":
            rows[row] = ""
        elif not piece.startswith("\x1b") and piece != "\r":
            rows[row] += piece
    return [line for line in rows if line]


def test_a_long_epoch_is_never_silent_for_minutes() -> None:
    console = open_console(io.StringIO())
    shown = PlainLines(console)
    for second in range(0, 200, 4):  # a step each, of an epoch of thousands
        status = Status("epoch 1", second // 4, None, 9000.0, 1.0, None, None, None, 0, float(second), None)
        shown.train(status, due=False)
    assert isinstance(console.file, io.StringIO)
    assert re.findall(r"step (\d+)", console.file.getvalue()) == ["15", "30", "45"]
