import math
from itertools import count

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sprig.checkpoint.states import newest_state, state_path
from sprig.config.building import StateFiles
from sprig.data.corpus import encode
from sprig.data.datamodule import RowsDataModule
from sprig.data.documents import Document
from sprig.data.packing import pack
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.trace.records import Training
from sprig.training.callbacks import observing as observing_module
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.compilation import pays
from sprig.training.callbacks.observing import Observing, _Spikes
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes
from sprig.training.throughput import Machine
from training.test_module import data, module, rows_of, trainer

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)


def wave(steps):
    return [3 + 0.1 * math.sin(step) - step / 1000 for step in range(steps)]


def test_a_loss_far_above_those_before_it_is_a_spike_and_what_is_usual_is_not_learnt_from_it():
    losses = wave(300)
    losses[200] = losses[201] = 9.0
    found = _Spikes().found(count(1), losses)
    assert [(spike.step, spike.loss) for spike in found] == [(201, 9.0), (202, 9.0)]
    assert found[1].usual == pytest.approx(2.8, abs=0.1)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_it_makes_no_difference_how_many_losses_are_read_at_once(sizes):
    losses = wave(sum(sizes))
    losses[-1] = 50.0
    whole = _Spikes().found(count(1), losses)
    spikes, parts, start = _Spikes(), [], 0
    for size in sizes:
        parts += spikes.found(count(start + 1), losses[start : start + size])
        start += size
    assert parts == whole and (len(whole) == 1) == (len(losses) > 50)


def test_a_loss_that_is_no_number_is_no_spike_and_spoils_nothing():
    losses = wave(120)
    losses[70] = math.nan
    losses[90] = math.inf
    losses[110] = 8.0
    assert [spike.step for spike in _Spikes().found(count(1), losses)] == [111]


def test_a_falling_loss_has_no_spikes():
    assert _Spikes().found(count(1), [8 * 0.99**step for step in range(500)]) == []


class Jumps(L.Callback):
    """Makes the losses of some steps' first batches 9, and kills the run before a step."""

    def __init__(self, steps: list[int], kill: int | None) -> None:
        self.steps, self.kill = steps, kill

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step + 1 == self.kill:
            raise KeyboardInterrupt

    def on_train_batch_end(self, trainer, pl_module, *_):
        first = trainer.fit_loop.batch_idx % trainer.accumulate_grad_batches == 0
        step = trainer.global_step + (trainer.accumulate_grad_batches > 1)
        wave = 3 + 0.1 * math.sin(trainer.fit_loop.total_batch_idx)
        pl_module.train_loss = torch.tensor(9.0 if first and step in self.steps else wave)


def spikes_of(place, accumulation: int, *, kill: int | None = None, resume: bool = False) -> Training:
    """What a run of 80 steps has noted, or the second part of one that was killed."""
    rows = pack(encode([Document("x", str(n), str(n)) for n in range(10)], TOKENIZER), 4, "padded")
    config = ModelConfig(
        vocab_size=SMALLEST_VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=8, max_position_embeddings=4,
    )  # fmt: skip
    training = Training()
    observing = Observing(training, Machine(1.0, 1.0), "cpu")
    checkpoints = Checkpoints(place, lambda *_: None, state_path, "val/loss", "min", {}, every_steps=7)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, plugins=[StateFiles()],
        enable_checkpointing=False, num_sanity_val_steps=0, default_root_dir=place, max_steps=80, max_epochs=-1,
        callbacks=[Jumps([55, 64, 66, 75], kill), observing, checkpoints], accumulate_grad_batches=accumulation,
        check_val_every_n_epoch=1000, log_every_n_steps=10,
    )  # fmt: skip
    trainer.fit(
        LanguageModelling(Transformer(config), OptimConfig(), ["loss"], TOKENIZER.token_bytes),
        RowsDataModule(rows, rows, 1, seed=0, trim=True),
        ckpt_path=newest_state(place / "states")[0] if resume else None,
        weights_only=True,
    )
    return training


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_that_was_killed_and_gone_on_with_lists_the_spikes_of_one_that_nobody_disturbed(accumulation, tmp_path):
    whole = spikes_of(tmp_path / "whole", accumulation).spikes
    assert [spike.step for spike in whole] == [55, 64, 66, 75]
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        spikes_of(tmp_path / "killed", accumulation, kill=69)
    assert spikes_of(tmp_path / "killed", accumulation, resume=True).spikes == whole


def test_minutes_of_training_pay_for_compilation_and_seconds_do_not():
    assert not pays(60, "cpu") and pays(1200, "cpu") and pays(float("inf"), "cpu")
    assert not pays(30, "cuda") and pays(60, "cuda")


class Two(Processes):
    """As if another process had had as many steps, of a loss of 7 and three times the tokens."""

    def gather(self, value):
        losses, tokens = value
        return [value, ([7.0] * len(losses), [3 * count for count in tokens])]


def test_the_loss_of_a_step_is_that_of_all_processes_tokens(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(_Spikes, "found", lambda _, steps, losses: seen.extend(zip(steps, losses, strict=True)) or [])
    observing = Observing(Training(), Machine(1.0, 1.0), "cpu", Two())

    class Sets(L.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            pl_module.train_loss = torch.tensor(float(trainer.global_step))

    trainer(tmp_path, Sets(), observing, max_steps=3, max_epochs=-1).fit(module(), data(rows_of(40)))
    assert seen == [(step, pytest.approx((step + 3 * 7) / 4)) for step in (1, 2, 3)]


def test_the_pace_is_that_of_steps_and_its_share_of_the_peak_that_of_the_machine(monkeypatch, tmp_path):
    class Clock:
        """Each step takes two seconds, and whatever is between two steps a hundred."""

        now = 0.0

        def perf_counter(self):
            self.now += 2.0 if self.between else 100.0
            self.between = not self.between
            return self.now

        between = False

    monkeypatch.setattr(observing_module, "time", Clock())
    training = Training()
    run = module()
    trainer(tmp_path, Observing(training, Machine(1e6, 500.0), "cpu"), max_steps=5, max_epochs=-1).fit(
        run, data(rows_of(40))
    )
    assert training.tokens_per_second == pytest.approx(run.tokens_seen / (5 * 2.0)) and run.tokens_seen > 0
    assert training.flop_utilisation == pytest.approx(training.tokens_per_second * 500.0 / 1e6)
    assert training.peak_memory > 50 * 2**20 and training.matmul_peak == 1e6
