"""Jobs of a multirun, each a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.command import ROOT, SHORT, children, sprig

pytestmark = pytest.mark.slow

SETTINGS = ["model=tiny", "data.count=100", "data.vocab_size=300", "logger=csv", "prompts=[]", *SHORT]
ONE_EPOCH = [*SETTINGS, "trainer.max_epochs=1"]


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two jobs, the first of which would train for ever and does by now; and the process of that job."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), "-m", *SETTINGS, "trainer.max_epochs=100000,1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    [job] = children(process)
    yield process, job
    process.kill()


def jobs(place: Path) -> Path:
    [directory] = (place / "outputs" / "snippets").iterdir()
    return directory


def stopped_after(errors: str, job: Path) -> int:
    """The step that a job says it was stopped after; it has to be the newest state's."""
    [step] = re.findall(r"Stopped by SIG\w+ after step (\d+); everything is saved", errors)
    states = (job / "checkpoints" / "states").glob("step-*/state.ckpt")
    assert max(int(state.parent.name.removeprefix("step-")) for state in states) == int(step)
    return int(step)


def test_a_job_that_the_system_kills_does_not_end_the_sweep(sweep, tmp_path):
    process, job = sweep
    os.kill(job, signal.SIGKILL)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in errors
    assert "job 0 failed: its process was ended by SIGKILL. Lack of memory is the usual cause." in output
    assert (jobs(tmp_path) / "1" / "checkpoints" / "best").is_dir()


def test_a_job_that_is_asked_to_end_saves_and_does_not_end_the_sweep(sweep, tmp_path):
    process, job = sweep
    os.kill(job, signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    directory = jobs(tmp_path) / "0"
    assert f"job 0 failed: SIGTERM stopped it and not the sweep; go on with it by resume={directory}" in output
    stopped_after(errors, directory)
    assert (jobs(tmp_path) / "1" / "checkpoints" / "best").is_dir()


@pytest.mark.parametrize("to_all", [False, True])
def test_a_signal_to_the_sweep_ends_it_and_its_job_is_saved(to_all, sweep, tmp_path):
    """To all: as pkill and systemd send it, so that the job has it once directly and once from the sweep."""
    process, job = sweep
    if to_all:
        os.kill(job, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "1 job, ranked by" in output and "interrupted" in output
    stopped_after(errors, jobs(tmp_path) / "0")


def test_a_sweep_that_is_paused_pauses_its_job(sweep):
    process, job = sweep

    def wait_for(state: str) -> None:
        deadline = time.monotonic() + 20
        while Path(f"/proc/{job}/stat").read_text().rsplit(")", 1)[1].split()[0] not in state:
            assert time.monotonic() < deadline
            os.sched_yield()

    process.send_signal(signal.SIGTSTP)
    wait_for("T")
    process.send_signal(signal.SIGCONT)
    wait_for("RSD")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "everything is saved" in errors


def test_why_a_job_failed_in_its_process_stands_in_the_table(tmp_path):
    (tmp_path / "code").mkdir()
    done = sprig("train", "-m", "data=folder", "data.path=code", "model=tiny,small", "logger=csv", cwd=tmp_path)
    assert done.returncode == 1
    for job, model in enumerate(("tiny", "small")):
        assert f"job {job} failed: data.path=code: there is no file in it" in done.stdout
        assert done.stdout.count(f"\nJob {job}: data=folder data.path=code model={model} logger=csv\n") == 1
    assert done.stderr.count("there is no file in it") == 2
    assert not list(tmp_path.glob("outputs/folder/*/[01]"))


def test_what_is_set_to_auto_is_found_in_each_job(tmp_path):
    arguments = [argument for argument in ONE_EPOCH if not argument.startswith("data.vocab_size")]
    done = sprig("train", "-m", *arguments, "data.vocab_size=auto", "seed=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


OWN = "defaults: [train, _self_]\nname: mine\ntrainer: {max_epochs: 1}\nseed: 7\n"
SWEEP = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '7'}}}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-m", "--config-dir", "{own}", "experiment=mine", "seed=7"], id="config-dir"),
        pytest.param(["-m", "hydra.searchpath=[file://{own}]", "experiment=mine", "seed=7"], id="searchpath"),
        pytest.param(["-m", "--config-dir", "{own}", "--config-name", "own", "optim.lr=0.01"], id="config-name"),
        pytest.param(["-m", "hydra.job.chdir=true", "trainer.max_epochs=1", "seed=7"], id="chdir"),
        pytest.param(["-m", "trainer.max_epochs=1", "seed=${{hydra:job.num}}"], id="number"),
        pytest.param(["--config-dir", "{own}", "experiment=sweep"], id="a sweep in a file"),
    ],
)
def test_jobs_train_with_what_the_sweep_was_given(arguments, tmp_path):
    own = tmp_path / "own"
    (own / "experiment").mkdir(parents=True)
    (own / "own.yaml").write_text(OWN)
    for name, more in (("mine", ""), ("sweep", SWEEP)):
        (own / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\ntrainer: {{max_epochs: 1}}\n{more}")
    given = [argument.format(own=own) for argument in arguments]
    # Absolute, for a job may have gone elsewhere.
    done = sprig("train", *given, *SETTINGS, f"cache_dir={tmp_path}/cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 job, ranked by val/loss" in done.stdout and "epoch 1/1" in done.stdout
    [trace] = tmp_path.rglob("trace.json")
    seed = 0 if "job.num" in given[-1] else 7
    assert f'"seed": {seed},' in trace.read_text() and trace.parent.name == "0"
