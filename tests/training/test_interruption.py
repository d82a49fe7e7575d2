"""Signals: what becomes of them after training."""

import os
import signal

import lightning as L
import pytest

from sprig.checkpoint.states import state_path
from sprig.training.callbacks import interruption as interruption_module
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.interruption import Interruption, Stopped
from training.test_module import data, module, rows_of, trainer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Sends(L.Callback):
    """Sends the process a signal in the validation after training."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_validation_batch_start(self, *_):
        os.kill(os.getpid(), self.number)


def interruption(tmp_path) -> Interruption:
    return Interruption(Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {}))


def test_after_training_signals_do_what_they_did_before_it(tmp_path):
    before = [signal.getsignal(number) for number in SIGNALS]
    run = trainer(tmp_path, interruption(tmp_path), max_steps=2, max_epochs=-1)
    run.fit(module(), data(rows_of(8)))
    assert [signal.getsignal(number) for number in SIGNALS] == before
    run.validate(module(), data(rows_of(8)), verbose=False)
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_validation_after_training_ends_the_run(number, tmp_path):
    before = [signal.getsignal(number) for number in SIGNALS]
    run = trainer(tmp_path, interruption(tmp_path), Sends(number), limit_val_batches=2)
    with pytest.raises(Stopped) as stopped:
        run.validate(module(), data(rows_of(8)), verbose=False)
    assert stopped.value.signal_number == number
    assert [signal.getsignal(number) for number in SIGNALS] == before


class Asks(L.Callback):
    """Sends the process a signal amid training, and once more so many seconds later."""

    def __init__(self, number: int, later: float, monkeypatch) -> None:
        self.number, self.later, self.clock = number, later, 100.0
        monkeypatch.setattr(interruption_module.time, "monotonic", lambda: self.clock)

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 1:
            os.kill(os.getpid(), self.number)
            self.clock += self.later
            os.kill(os.getpid(), self.number)


def test_a_signal_that_comes_twice_at_once_is_one(monkeypatch, tmp_path):
    """pkill and systemd send it to a process and to the one that hands it on."""
    run = trainer(tmp_path, interruption(tmp_path), Asks(signal.SIGINT, 0.9, monkeypatch), max_steps=9, max_epochs=-1)
    with pytest.raises(Stopped) as stopped:
        run.fit(module(), data(rows_of(40)))
    assert stopped.value.signal_number == signal.SIGINT and run.global_step == 2


def test_a_second_signal_ends_at_once(monkeypatch, tmp_path):
    run = trainer(tmp_path, interruption(tmp_path), Asks(signal.SIGINT, 1.1, monkeypatch), max_steps=9, max_epochs=-1)
    with pytest.raises((KeyboardInterrupt, SystemExit)):  # the latter is what Lightning makes of the former
        run.fit(module(), data(rows_of(40)))
    assert run.global_step == 1


def test_who_cannot_be_told_is_saved_for_all_that(monkeypatch, tmp_path):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr(interruption_module.os, "write", gone)
    run = trainer(tmp_path, interruption(tmp_path), Asks(signal.SIGTERM, 0.0, monkeypatch), max_steps=9, max_epochs=-1)
    with pytest.raises(Stopped):
        run.fit(module(), data(rows_of(40)))
