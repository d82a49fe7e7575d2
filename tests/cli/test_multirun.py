"""Jobs of a multirun, each a process of its own."""

import os
import signal
import subprocess
import sys

import pytest

from cli.command import ROOT, SHORT, children, sprig

pytestmark = pytest.mark.slow

SETTINGS = ["model=tiny", "data.count=100", "data.vocab_size=300", "logger=csv", "prompts=[]", *SHORT]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_the_system_ends_does_not_end_the_sweep(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), "-m", *SETTINGS, "trainer.max_epochs=100000,1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    [job] = children(process)
    os.kill(job, number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in errors
    why = (
        "its process was ended by SIGKILL. Lack" if number == signal.SIGKILL else "SIGTERM stopped it and not the sweep"
    )
    assert f"job 0 failed: {why}" in output
    [sweep] = (tmp_path / "outputs" / "snippets").iterdir()
    assert (sweep / "1" / "checkpoints" / "best").is_dir()
    stopped = (sweep / "0" / "checkpoints" / "states").glob("step-*/state.ckpt")
    assert any(stopped) or number == signal.SIGKILL


def test_a_signal_to_the_sweep_ends_it_and_its_job_with_a_state(tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), "-m", *SETTINGS, "trainer.max_epochs=100000,1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.count("everything is saved") == 1
    assert "1 jobs, ranked by" in output and "interrupted" in output


def test_jobs_find_the_settings_of_other_folders(tmp_path):
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\ntrainer:\n  max_epochs: 1\n")
    for where in (["--config-dir", str(own.parent)], [f"hydra.searchpath=[file://{own.parent}]"]):
        done = sprig("train", "-m", *where, *SETTINGS, "experiment=mine", "seed=0", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "epoch 1/1" in done.stdout


def test_why_a_job_failed_in_its_process_stands_in_the_table(tmp_path):
    (tmp_path / "code").mkdir()
    done = sprig("train", "-m", "data=folder", "data.path=code", "model=tiny,small", "logger=csv", cwd=tmp_path)
    assert done.returncode == 1
    for job in (0, 1):
        assert f"job {job} failed: data.path=code: there is no file in it" in done.stdout
    assert done.stderr.count("there is no file in it") == 2
    assert not list(tmp_path.glob("outputs/folder/*/[01]"))
