"""trainer.max_time, for one process and for several."""

from datetime import timedelta

from lightning.pytorch.strategies import SingleDeviceStrategy

from sprig.training.callbacks.wall_clock import WallClock
from sprig.training.processes import Processes
from training.test_module import data, module, rows_of, trainer


class Clock(WallClock):
    """Time that passes with batches only: a second each."""

    seconds = 0.0

    def time_elapsed(self, stage=None):
        return self.seconds

    def on_train_batch_end(self, trainer, *arguments, **named):
        self.seconds += 1
        super().on_train_batch_end(trainer, *arguments, **named)


class Ahead(Processes):
    """Of two processes, the one whose clock is slower: the other has come to the end after three batches."""

    asked = 0

    def largest(self, question: str, number: int) -> int:
        if question != "time is over":
            return number
        self.asked += 1
        return int(self.asked > 4)  # once before the first batch, and an answer is one call late


def steps(tmp_path, clock: WallClock) -> int:
    run = trainer(tmp_path, clock, max_epochs=-1, limit_val_batches=0)
    run.fit(module(), data(rows_of(20)))
    return run.global_step


def test_a_run_ends_with_the_batch_in_which_its_time_is_over(tmp_path):
    assert steps(tmp_path, Clock("00:00:00:07")) == 7


def test_a_step_of_several_batches_is_ended_first(tmp_path):
    clock = Clock("00:00:00:07")
    run = trainer(tmp_path, clock, max_epochs=-1, limit_val_batches=0, accumulate_grad_batches=3)
    run.fit(module(), data(rows_of(80)))
    assert (run.global_step, clock.seconds) == (3, 9)


def test_all_processes_end_when_the_first_of_them_has_no_time_left_and_none_waits_for_it(tmp_path, monkeypatch):
    broadcasts = []
    before = SingleDeviceStrategy.broadcast
    monkeypatch.setattr(
        SingleDeviceStrategy, "broadcast", lambda self, it, *a, **k: broadcasts.append(it) or before(self, it, *a, **k)
    )
    assert steps(tmp_path, Clock(timedelta(hours=1), Ahead())) == 4
    assert len(broadcasts) < 4  # not once a step
