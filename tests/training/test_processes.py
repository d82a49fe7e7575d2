"""Words between the processes of a run, where some of them take their time or no longer answer."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
"""


@contextmanager
def two(program: str) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes of a program, which are no more afterwards."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    where = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    where["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program],
            env=where | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("question", ['processes.largest("stop", 0)', "processes.gather(0)"])
def test_a_process_that_hangs_ends_the_others_with_a_sentence(question):
    with two(STOPPED.replace("QUESTION", question)) as (first, stopped):
        _, errors = first.communicate(timeout=60)
        assert "ConnectionError: another process hangs: it has not answered for 0:00:02 hours" in errors
        assert first.returncode == 1 and stopped.poll() is None


def test_what_one_does_after_the_other_may_take_longer_than_an_answer():
    with two(SLOW) as processes:
        ends = [process.communicate(timeout=60)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], ends
