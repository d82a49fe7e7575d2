import math
import signal
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from sprig.checkpoint.states import newest_state, state_path
from sprig.config.building import StateFiles
from sprig.data.corpus import encode
from sprig.data.datamodule import RowsDataModule
from sprig.data.documents import Document
from sprig.data.packing import Rows, pack
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.trace.records import Run, Trace
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.interruption import Interruption, Stopped
from sprig.training.callbacks.tracing import Tracing
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling
from sprig.training.skipping import Skipping

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)


def rows_of(count: int) -> Rows:
    documents = [Document(f"def f{n}(): return {n * n}", str(n), str(n)) for n in range(count)]
    return pack(encode(documents, TOKENIZER), 32, "padded")


def module(dropout: float = 0.0, metrics: Sequence[str] = ("loss", "accuracy"), **optim) -> LanguageModelling:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=SMALLEST_VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=32,
        attention_dropout=dropout,
    )  # fmt: skip
    return LanguageModelling(Transformer(config), OptimConfig(**optim), metrics, TOKENIZER.token_bytes)


def state_in(run: Path) -> Path:
    """The newest state that Checkpoints(run, ...) has kept."""
    return newest_state(run / "states")[0]


def data(rows: Rows, batch_size: int = 4) -> RowsDataModule:
    return RowsDataModule(rows, rows, batch_size, seed=0, trim=True)


def trainer(tmp_path, *callbacks: L.Callback, **settings) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, num_sanity_val_steps=0, default_root_dir=tmp_path, callbacks=list(callbacks),
        plugins=[StateFiles()], **{"logger": False} | settings,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_one_batch_can_be_learnt_by_heart(name, tmp_path):
    run = trainer(tmp_path, max_epochs=300, check_val_every_n_epoch=300)
    run.fit(module(name=name, lr=0.01), data(rows_of(4)))
    # Nothing tells which of the four comes, up to the digit of the name: that costs ln 4 nats a row and no less.
    floor = 4 * math.log(4) / rows_of(4).tokens
    assert floor < run.callback_metrics["val/loss"] < floor + 0.01


def test_tokens_seen_are_those_trained_on_and_no_padding(tmp_path):
    trained, rows = module(), rows_of(10)
    trainer(tmp_path, max_epochs=2).fit(trained, data(rows))
    assert trained.tokens_seen == 2 * rows.tokens


class StopAt(L.Callback):
    """Asks for the end as a signal would, after so many steps."""

    def __init__(self, interruption: Interruption, step: int) -> None:
        self.interruption, self.step = interruption, step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step - 1:
            self.interruption.asked = signal.SIGTERM


@pytest.mark.parametrize(("interval", "expected"), [(None, [5, 10]), (2, [2, 4, 7, 9, 10])])
@pytest.mark.parametrize("step", [1, 3, 5, 6, 8])
def test_a_stopped_and_resumed_run_ends_as_an_uninterrupted_one(step, interval, expected, tmp_path):
    saved = []

    def note(directory, transformer, facts):
        if directory.name == "last":
            saved.append(facts["step"])

    def run(stop: int | None, resume: bool) -> tuple[LanguageModelling, L.Trainer]:
        checkpoints = Checkpoints(tmp_path, note, state_path, "val/loss", "min", {})
        interruption = Interruption(checkpoints)
        callbacks = [checkpoints, *([StopAt(interruption, stop)] if stop else []), interruption]
        fitted, fitting = module(dropout=0.1), trainer(tmp_path, *callbacks, max_epochs=2, val_check_interval=interval)
        fitting.fit(fitted, data(rows_of(18)), ckpt_path=state_in(tmp_path) if resume else None, weights_only=True)
        return fitted, fitting

    whole, fitting = run(None, resume=False)
    figures = dict(fitting.callback_metrics)
    assert fitting.global_step == 10 and saved == expected
    saved.clear()
    with pytest.raises(Stopped):
        run(step, resume=False)
    resumed, fitting = run(None, resume=True)
    assert fitting.global_step == 10 and saved == sorted({*expected, step})
    assert resumed.tokens_seen == whole.tokens_seen
    # Kept as one number and added to again, the sum of losses may round once more.
    for name in ("train/loss", "val/loss", "val/accuracy"):
        assert fitting.callback_metrics[name] == pytest.approx(figures[name].item(), rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


class Breaks(L.Callback):
    """Makes the weights nan at a step, as a run that diverges does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == self.step:
            with torch.no_grad():
                pl_module.transformer.model.norm.weight.fill_(math.nan)


def test_a_diverged_model_is_not_saved_and_the_last_good_one_stays(tmp_path):
    facts = {}
    checkpoints = Checkpoints(
        tmp_path,
        lambda place, _, said: facts.__setitem__((place.name, said["step"]), said),
        state_path,
        "val/loss",
        "min",
        {},
    )
    trace = Trace(Run("x", "x", "x"))
    callbacks = [Tracing(trace, tmp_path / "trace.json"), checkpoints, Breaks(8)]
    with pytest.raises(ValueError, match=r"diverged\.\nThat is not saved, the state after step 5 stays"):
        trainer(tmp_path, *callbacks, max_epochs=2).fit(module(), data(rows_of(18)))
    assert list(facts) == [("best", 5), ("last", 5)]
    assert state_in(tmp_path) == tmp_path / "states" / "step-5" / "state.ckpt"
    assert math.isnan(trace.epochs[1].metrics["val/loss"])


def test_a_model_that_diverged_at_once_is_not_saved_at_all(tmp_path):
    kept = []
    checkpoints = Checkpoints(tmp_path, lambda place, *_: kept.append(place.name), state_path, "val/loss", "min", {})
    with pytest.raises(ValueError, match="nothing was saved before"):
        trainer(tmp_path, checkpoints, Breaks(2), max_epochs=1).fit(module(), data(rows_of(18)))
    assert not kept and not (tmp_path / "states").exists() and checkpoints.best is None


def test_an_epoch_counts_from_one_however_rarely_it_is_validated(tmp_path):
    trace = Trace(Run("x", "x", "x"))
    run = trainer(tmp_path, Tracing(trace, tmp_path / "t.json"), max_epochs=3, check_val_every_n_epoch=2)
    trained, rows = module(), data(rows_of(10))
    run.fit(trained, rows)
    run.validate(trained, datamodule=rows, verbose=False)
    assert [epoch.epoch for epoch in trace.epochs] == [2, 3]


def test_a_run_may_measure_the_loss_alone(tmp_path):
    trace = Trace(Run("x", "x", "x"))
    trainer(tmp_path, Tracing(trace, tmp_path / "t.json"), max_epochs=1).fit(
        module(metrics=["loss"]), data(rows_of(10))
    )
    assert set(trace.epochs[0].metrics) == {"val/loss", "train/loss"}


def test_an_epoch_that_no_checkpoint_knows_is_traced_once(tmp_path):
    trace = Trace(Run("x", "x", "x"))

    def run(**resume) -> None:
        checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
        fitting = trainer(tmp_path, Tracing(trace, tmp_path / "t.json"), checkpoints, max_epochs=2)
        fitting.fit(module(), data(rows_of(10)), weights_only=True, **resume)

    run()
    trace.epochs[-1].step = 99  # as after a kill between the trace's file and the checkpoint's
    run(ckpt_path=state_in(tmp_path))
    assert [epoch.step for epoch in trace.epochs] == [3]


def test_a_run_that_goes_on_where_it_ended_has_the_clock_of_before(tmp_path):
    trace = Trace(Run("x", "x", "x"))

    def run(**resume) -> Tracing:
        tracing = Tracing(trace, tmp_path / "t.json")
        checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
        fitting, trained = trainer(tmp_path, tracing, checkpoints, max_epochs=1), module()
        fitting.fit(trained, data(rows_of(10)), weights_only=True, **resume)
        fitting.validate(trained, datamodule=data(rows_of(10)), verbose=False)
        return tracing

    first = run()
    assert first.seconds <= run(ckpt_path=state_in(tmp_path)).seconds < 2 * first.seconds + 5


class Poisons(L.Callback):
    """Makes a weight's gradient infinite in the batches that are named, counted from 0."""

    def __init__(self, batches: Sequence[int]) -> None:
        self.batches = batches
        self.before: list[torch.Tensor] = []
        self.kept: list[bool] = []

    def on_after_backward(self, trainer, pl_module):
        self.before = [parameter.detach().clone() for parameter in pl_module.parameters()]
        if trainer.fit_loop.total_batch_idx in self.batches:
            pl_module.transformer.lm_head.weight.grad[0, 0] = math.inf

    def on_train_batch_end(self, trainer, pl_module, *_):
        pairs = zip(self.before, pl_module.parameters(), strict=True)
        self.kept.append(all(torch.equal(before, after) for before, after in pairs))


@pytest.fixture(params=[False, True], ids=["read at once", "read later"])
def later(request, monkeypatch):
    """Whether a GPU's way is taken: the optimiser is told what to do with a bad gradient before that is known."""
    judge = Skipping.judge
    monkeypatch.setattr(Skipping, "judge", lambda *args, later: judge(*args, later=request.param))
    return request.param


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_step_whose_gradient_is_not_finite_is_left_out_and_counted(clip, later, tmp_path):
    poisons, trained = Poisons([2, 5, 6]), module()
    trainer(tmp_path, poisons, max_steps=10, max_epochs=-1, gradient_clip_val=clip).fit(trained, data(rows_of(12)))
    assert poisons.kept == [number in (2, 5, 6) for number in range(10)]
    assert trained.skipped_steps == 3 and trained.diverged is None


def test_after_ten_such_steps_in_a_row_the_run_ends_as_it_last_was(later, tmp_path):
    poisons, trained = Poisons(range(3, 99)), module()
    run = trainer(tmp_path, poisons, max_steps=50, max_epochs=-1)
    run.fit(trained, data(rows_of(20)))
    assert run.global_step == 13 + later and trained.skipped_steps == 10 + later
    assert poisons.kept == [False] * 3 + [True] * (10 + later)
    assert "epoch 3 at batch 3" in trained.diverged
    assert all(parameter.isfinite().all() for parameter in trained.parameters())


def test_a_run_by_the_clock_ends_when_its_learning_rate_has_fallen(tmp_path):
    rates: list[float] = []

    class Rates(L.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    trained = module(lr=0.01)
    run = trainer(tmp_path, Rates(), max_epochs=-1, max_time="00:00:00:02", check_val_every_n_epoch=10**6)
    run.fit(trained, data(rows_of(40)))
    assert max(rates) == 0.01 and rates[-1] < 0.0005 and len(rates) == run.global_step > 20


def test_ten_bad_steps_at_the_very_end_are_told(later, tmp_path):
    trained = module()
    trainer(tmp_path, Poisons(range(3, 99)), max_steps=13, max_epochs=-1).fit(trained, data(rows_of(20)))
    assert "epoch 3 at batch 3" in trained.diverged and trained.skipped_steps == 10


def test_bad_steps_with_a_good_one_between_them_do_not_end_a_run(later, tmp_path):
    poisons, trained = Poisons([*range(3, 12), *range(13, 20)]), module()
    trainer(tmp_path, poisons, max_steps=25, max_epochs=-1).fit(trained, data(rows_of(20)))
    assert trained.skipped_steps == 16 and trained.diverged is None and trained.global_step == 25


def test_a_loss_that_is_no_number_is_left_out_of_the_mean(tmp_path):
    trained, losses = module(), []

    def lose(layer, inputs, output):
        return output * math.nan if trained.training and trained.trainer.fit_loop.batch_idx == 2 else output

    class Losses(L.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            losses.append(pl_module.train_loss.item())

    trained.transformer.model.norm.register_forward_hook(lose)
    rows = rows_of(16)
    run = trainer(tmp_path, Losses(), max_epochs=1)
    run.fit(trained, RowsDataModule(rows, rows, 4, seed=0, trim=False))
    assert math.isnan(losses[2]) and trained.skipped_steps == 1
    assert run.callback_metrics["train/loss"] == pytest.approx(sum(losses[:2] + losses[3:]) / 3, rel=0.02)


def test_lightning_exchanges_no_signals_of_its_own(monkeypatch, tmp_path):
    """It would make every step wait for the device; with several processes, Interruption does what it is for."""
    exchanged: list[int] = []
    monkeypatch.setattr(
        _TrainingEpochLoop, "_broadcast_sigterm_tensor", lambda loop: exchanged.append(loop.global_step)
    )
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(L.Trainer, "world_size", 2)
    checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
    for callbacks in ([], [Interruption(checkpoints)]):
        exchanged.clear()
        trainer(tmp_path, *callbacks, max_steps=3, max_epochs=-1, limit_val_batches=0).fit(module(), data(rows_of(20)))
        assert exchanged == ([] if callbacks else [0, 1, 2])


def test_a_run_that_was_killed_has_taken_as_long_as_its_state_says(tmp_path):
    def run(trace: Trace, taken: float, **resume) -> None:
        tracing = Tracing(trace, tmp_path / "t.json", lambda: taken)
        checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
        trainer(tmp_path, tracing, checkpoints, max_epochs=1).fit(
            module(), data(rows_of(10)), weights_only=True, **resume
        )

    run(Trace(Run("x", "x", "x")), 100.0)
    for noted, known in ((None, 100.0), (90.0, 100.0), (110.0, 110.0)):
        trace = Trace(Run("x", "x", "x", seconds=noted))
        run(trace, 0.0, ckpt_path=state_in(tmp_path))
        assert trace.run.seconds == known


def test_constants_are_not_sent_between_processes_before_each_step():
    trained = module()
    constant = {name for name, _ in trained.named_buffers()}
    assert constant and set(trained._ddp_params_and_buffers_to_ignore) == constant
