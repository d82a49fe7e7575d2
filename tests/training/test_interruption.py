"""Signals: what becomes of them after training."""

import os
import signal

import lightning as L
import pytest

from sprig.checkpoint.states import state_path
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
