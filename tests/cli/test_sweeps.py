"""sweep=optuna: a study on disk, jobs that fail, a sweep that is killed and goes on."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import ROOT, SHORT, sprig

pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

# A third of the choices cannot be trained with.
ARGUMENTS = [
    "-m", "sweep=optuna", "optim.lr=tag(log,interval(0.003,0.1))", "optim.momentum=interval(0.8,0.9)",
    "model.num_hidden_layers=range(1,3)", "data.vocab_size=100,300,320", "hydra.sweeper.n_trials=5",
    "hydra.sweep.dir=study", "model=tiny", "data.count=100", "logger=csv", "trainer.max_epochs=1", *SHORT,
    "callbacks.held_out_headers=0",
]  # fmt: skip


def jobs(table: str) -> dict[int, str]:
    """Status by number, as the table at the end has it."""
    found = re.findall(
        r"^ *(\d+) .*  (done|failed|interrupted) ", table[table.index("jobs, ranked by") :], re.MULTILINE
    )
    return {int(number): status for number, status in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a sweep that was killed amid its third job or later, and then run to its end."""
    place = tmp_path_factory.mktemp("sweep")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), *ARGUMENTS],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    begun = 0
    for line in process.stdout:
        begun += line.startswith("1/6")
        if begun == 2 and line.startswith("epoch 1"):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = sprig("train", *ARGUMENTS, cwd=place)
    (place / "output.txt").write_text(done.stdout)
    (place / "errors.txt").write_text(done.stderr)
    return place


def test_a_killed_sweep_goes_on_and_a_failed_job_does_not_end_it(place):
    table = (place / "output.txt").read_text()
    statuses = jobs(table)
    assert len(statuses) == 5 and "done" in statuses.values()
    assert max(statuses) == 5  # the one that was killed was begun anew, under the next number
    assert "Traceback" not in (place / "errors.txt").read_text()
    for number, status in statuses.items():
        assert (place / "study" / str(number) / "checkpoints" / "best").is_dir() == (status == "done")


def test_a_study_that_is_complete_runs_no_more_jobs(place):
    done = sprig("train", *ARGUMENTS, cwd=place)
    assert done.returncode == 0 and "1/6" not in done.stdout
    assert jobs(done.stdout) == jobs((place / "output.txt").read_text())


def test_a_study_does_not_go_on_with_other_settings(place):
    done = sprig("train", *ARGUMENTS, "seed=1", cwd=place)
    assert done.returncode == 1 and "study holds a study of other settings" in done.stderr


def test_the_best_line_can_be_copied(place):
    [line] = re.findall(r"alone\n +python src/train\.py (.+)", (place / "output.txt").read_text())
    assert "sweep=" not in line and "hydra" not in line
    done = sprig("train", *line.split(), cwd=place)
    assert done.returncode == 0, done.stderr


def test_without_a_range_there_is_nothing_to_search(tmp_path):
    done = sprig("train", "-m", "sweep=optuna", cwd=tmp_path)
    assert done.returncode == 1 and "give a setting a range" in done.stderr
