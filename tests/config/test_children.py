"""Processes that are started: how they end, and what they say."""

import select
import signal
import sys
from types import SimpleNamespace

import pytest
from hydra.types import RunMode

from sprig.config import children, launching, multirun, ranks
from sprig.config.children import End
from sprig.config.run_directory import COMMAND, Interrupted

SAYS = """
import os, sys
sys.path[:0] = {path}
from sprig.config.children import give_reason
if os.environ["RANK"] == "1":
    give_reason(ValueError({reason}))
sys.exit(int(os.environ["RANK"]) * 3)
"""


def script(reason: str) -> list[str]:
    return [sys.executable, "-c", SAYS.format(path=sys.path, reason=reason)]


def test_the_first_that_fails_and_why_is_told():
    assert children.run(script(r"'it is so\nand so'"), 2) == End(1, 3, 0, "it is so", unheard=True)
    assert children.run(script("'it is so'"), 1) == End(0, 0, 0, "")


def test_a_reason_of_any_length_holds_up_nobody():
    end = children.run(script("'x' * 200_000"), 2)
    assert end.code == 3 and end.said == "x" * (select.PIPE_BUF - 2)


def test_without_who_started_it_a_process_tells_nobody(monkeypatch):
    monkeypatch.delenv(COMMAND, raising=False)
    children.give_reason(ValueError("it is so"))  # there is nothing to write to


def test_variables_of_other_launchers_do_not_reach_the_processes(monkeypatch):
    for name in ("TORCHELASTIC_USE_AGENT_STORE", "SLURM_NNODES", "SLURM_NTASKS", "GROUP_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    code = "import os, sys; sys.exit(any('2' == value for name, value in os.environ.items() if 'WORLD' in name or "
    assert children.run([sys.executable, "-c", f"{code}'SLURM' in name or 'ELASTIC' in name))"], 1).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_handed_on_and_told(number):
    code = (
        f"import os, signal, sys; signal.signal({int(number)}, lambda *_: sys.exit(5)); "
        f"os.kill(os.getppid(), {int(number)}); signal.pause()"
    )
    assert children.run([sys.executable, "-c", code], 1) == End(0, 5, number, "")


@pytest.mark.parametrize(
    ("end", "code"), [(End(0, 1, 2, "the disk is full"), 130), (End(0, 143, 15, ""), 143), (End(0, 0, 10, ""), 138)]
)
def test_a_sweep_that_got_a_signal_ends_whatever_became_of_its_job(end, code, settings, tmp_path, monkeypatch):
    (tmp_path / "trace.json").write_text('{"final": {"val/loss": 1.0, "best": {"value": 1.0}}}')
    monkeypatch.setattr(multirun, "goes_on", lambda: True)
    monkeypatch.setattr(children, "run", lambda *_: end)
    monkeypatch.setattr(launching, "_command", lambda _: [])
    monkeypatch.setattr(launching, "check_output", lambda _: None)
    with pytest.raises(Interrupted) as interrupted:
        launching.launch(settings(), tmp_path)
    assert interrupted.value.exit_code == code


def test_a_job_that_was_done_as_the_signal_came_is_ranked_as_such(settings, tmp_path, monkeypatch):
    (tmp_path / "trace.json").write_text('{"final": {"val/loss": 1.0, "best": {"value": 1.0}}}')
    hydra = SimpleNamespace(mode=RunMode.MULTIRUN, overrides=SimpleNamespace(task=[]), job=SimpleNamespace(num=0))
    monkeypatch.setattr(multirun, "_sweep", multirun._Sweep())
    monkeypatch.setattr(multirun.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(multirun.HydraConfig, "get", lambda: hydra)
    monkeypatch.setattr(multirun.command_line, "command", list)
    monkeypatch.setattr(children, "run", lambda *_: End(0, 0, signal.SIGINT, ""))
    monkeypatch.setattr(launching, "_command", lambda _: [])
    monkeypatch.setattr(launching, "check_output", lambda _: None)
    with pytest.raises(Interrupted), multirun.job(tmp_path):
        launching.launch(settings(), tmp_path)
    assert (multirun.newest().status, multirun.newest().metrics) == ("done", {"val/loss": 1.0})


def test_what_one_fails_with_before_it_meets_the_others_is_said_by_who_started_it(settings, tmp_path, monkeypatch):
    """Where all fail alike, rank 0 says it for them."""
    monkeypatch.setattr(launching, "_command", lambda _: [])
    for unheard, kind, message in (
        (True, ValueError, "process 1 of 2: it is so"),
        (False, launching.ProcessFailed, "it is so"),
    ):
        monkeypatch.setattr(children, "run", lambda *_, unheard=unheard: End(1, 1, 0, "it is so", unheard))
        with pytest.raises(kind, match=f"^{message}$"):
            launching.launch(settings("trainer.devices=2"), tmp_path)


@pytest.mark.parametrize(("rank", "among", "silent"), [(0, 0, False), (1, 1, True), (8, 0, False), (9, 1, True)])
def test_one_process_of_each_machine_says_what_goes_wrong(rank, among, silent, monkeypatch):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("LOCAL_RANK", str(among))
    assert ranks.silent() is silent


def test_who_ends_without_a_word_is_told_of(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "run", lambda *_: End(1, 1, 0, ""))
    monkeypatch.setattr(launching, "_command", lambda _: [])
    with pytest.raises(ValueError, match="process 1 of 2 ended with exit code 1 and said nothing"):
        launching.launch(settings("trainer.devices=2"), tmp_path)
