"""The processes of a run: that they learn the same, and what is said where one of them no longer answers."""

import pytest
import torch

from sprig.training.processes import Processes
from training.two_processes import fit, fit_in_two, two

pytestmark = pytest.mark.slow

PRELUDE = """
import os, signal, time
from datetime import timedelta
import lightning as L
from sprig.training.processes import Processes
rank = int(os.environ["RANK"])
strategy = L.Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False).strategy
processes = Processes(rank, 2, strategy, answer=timedelta(seconds=2))
"""
STOPPED = """
processes.largest("stop", 0)
if rank:
    os.kill(os.getpid(), signal.SIGSTOP)  # as a disk or a driver that hangs would stop it
with processes.together():
    while True:
        QUESTION
"""
SLOW = """
with processes.first():
    begun = time.monotonic()
    while time.monotonic() < begun + 3:
        pass
assert processes.gather(rank) == [0, 1]
processes.leave()  # as a run does: Gloo's threads may abort a process that ends with its groups
"""


@pytest.mark.parametrize("question", ['processes.largest("stop", 0)', "processes.gather(0)"])
def test_a_process_that_hangs_ends_the_others_with_a_sentence(question):
    with two("-c", PRELUDE + STOPPED.replace("QUESTION", question)) as (first, stopped):
        _, errors = first.communicate(timeout=60)
        assert "ConnectionError: another process hangs: it has not answered for 2 s" in errors
        assert first.returncode == 1 and stopped.poll() is None


def test_what_one_does_after_the_other_may_take_longer_than_an_answer():
    with two("-c", PRELUDE + SLOW) as processes:
        ends = [process.communicate(timeout=60)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], ends


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], distance: float = 1e-7) -> bool:
    return all(torch.allclose(other[name], weights, rtol=0, atol=distance) for name, weights in one.items())


@pytest.mark.parametrize("batches", [1, 4])
def test_two_processes_have_the_weights_and_the_average_of_one_whatever_is_accumulated(batches, tmp_path):
    """Of ten batches, the last two make a step of their own."""
    settings = {"ema": 0.6, "accumulate_grad_batches": batches}
    alone = fit(tmp_path, Processes(), **settings)
    assert alone["steps"] == {1: 10, 4: 3}[batches] and not close(alone["averaged"], alone["weights"])
    for outcome in fit_in_two(tmp_path, **settings):
        assert close(outcome["weights"], alone["weights"]) and close(outcome["averaged"], alone["averaged"])
        assert outcome["loss"] == pytest.approx(alone["loss"], rel=1e-6)
        assert [outcome[name] for name in ("steps", "tokens")] == [alone[name] for name in ("steps", "tokens")]


def test_each_process_drops_out_its_own(tmp_path):
    first, second = fit_in_two(tmp_path)
    assert not torch.equal(first["random"], second["random"])


@pytest.mark.parametrize("sharded", [False, True])
def test_muon_orthogonalises_in_two_processes_what_it_does_in_one(sharded, tmp_path):
    alone = fit(tmp_path, Processes(), optimizer="muon", precision="32-true")
    for outcome in fit_in_two(tmp_path, optimizer="muon", precision="32-true", sharded=sharded)[: 2 - sharded]:
        assert close(outcome["weights"], alone["weights"], 1e-5)


@pytest.mark.parametrize("batches", [1, 4])
def test_a_gradient_that_is_not_finite_in_one_process_is_left_out_in_both(batches, tmp_path):
    alone = fit(tmp_path, Processes(), bad=[[0, 5]], accumulate_grad_batches=batches)
    for outcome in fit_in_two(tmp_path, bad=[[1, 5]], accumulate_grad_batches=batches):
        assert outcome["skipped"] == alone["skipped"] == 1
        assert close(outcome["weights"], alone["weights"])


def test_a_gradient_that_is_not_finite_in_one_process_is_left_out_in_both_where_weights_are_sharded(tmp_path):
    """There each has a part of the gradient; and there is no double precision."""
    alone = fit(tmp_path, Processes(), bad=[[0, 5]], precision="32-true")
    first, second = fit_in_two(tmp_path, bad=[[1, 5]], precision="32-true", sharded=True)
    assert first["skipped"] == second["skipped"] == alone["skipped"] == 1
    assert close(first["weights"], alone["weights"], 1e-5)
