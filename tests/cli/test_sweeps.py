"""sweep=optuna: a study on disk, jobs that fail, a sweep that is killed and goes on."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import ROOT, SHORT, sprig
from sprig.config.run_directory import claimed

pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

# A third of the choices cannot be trained with.
ARGUMENTS = [
    "-m", "sweep=optuna", "optim.lr=tag(log,interval(0.003,0.1))", "optim.momentum=interval(0.8,0.9)",
    "model.num_hidden_layers=range(1,3)", "data.vocab_size=100,300,320", "hydra.sweeper.n_trials=5",
    "hydra.sweep.dir=study", "model=tiny", "data.count=100", "logger=csv", "trainer.max_epochs=3", *SHORT,
    "callbacks.held_out_headers=0",
]  # fmt: skip


def jobs(table: str) -> dict[int, str]:
    """Status by number, as the table at the end has it."""
    found = re.findall(r"^ *(\d+) .*  (done|failed|interrupted) ", table[table.index(", ranked by") :], re.MULTILINE)
    return {int(number): status for number, status in found}


def killed(place: Path, until: str) -> str:
    """What a sweep in place says until it is killed, at the first line that begins so."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), *ARGUMENTS],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(until):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return said


def epochs(output: str) -> list[int]:
    """Those that an output tells the end of."""
    return [int(number) for number in re.findall(r"^epoch (\d)/3 .*val loss", output, re.MULTILINE)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a sweep that was killed as a job began, killed again amid its training, and run to its end."""
    place = tmp_path_factory.mktemp("sweep")
    (place / "killed.txt").write_text(killed(place, "1/6"))
    (place / "killed again.txt").write_text(killed(place, "epoch 2"))
    done = sprig("train", *ARGUMENTS, cwd=place)
    (place / "output.txt").write_text(done.stdout)
    (place / "errors.txt").write_text(done.stderr)
    return place


def test_a_killed_sweep_goes_on_and_a_failed_job_does_not_end_it(place):
    table = (place / "output.txt").read_text()
    statuses = jobs(table)
    assert sorted(statuses) == [0, 1, 2, 3, 4]  # none was lost, and none was begun under another number
    assert set(statuses.values()) == {"done", "failed"}
    assert "Traceback" not in (place / "errors.txt").read_text()
    for number, status in statuses.items():
        assert (place / "study" / str(number) / "checkpoints" / "best").is_dir() == (status == "done")


def test_a_job_that_was_killed_goes_on_where_it_was(place):
    again, output = ((place / name).read_text() for name in ("killed again.txt", "output.txt"))
    assert epochs(again) == [1]  # nothing was saved before
    assert epochs(output)[0] > 1
    traces = [json.loads(path.read_text()) for path in (place / "study").glob("*/trace.json")]
    assert all([epoch["step"] for epoch in trace["epochs"]] == [2, 4, 6] for trace in traces)


def test_a_study_that_is_complete_runs_no_more_jobs(place):
    done = sprig("train", *ARGUMENTS, cwd=place)
    assert done.returncode == 0 and "1/6" not in done.stdout
    assert jobs(done.stdout) == jobs((place / "output.txt").read_text())


def test_a_study_does_not_go_on_with_other_settings(place):
    done = sprig("train", *ARGUMENTS, "seed=1", cwd=place)
    assert done.returncode == 1 and "study holds a study of other settings" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_study_is_searched_by_one_process_at_a_time(place):
    journal = (place / "study" / "study.journal").read_bytes()
    with claimed(place / "study"):
        done = sprig("train", *ARGUMENTS, cwd=place)
    assert done.returncode == 1 and "study is being trained in by another process: end it first." in done.stderr
    assert (place / "study" / "study.journal").read_bytes() == journal


def test_a_choice_that_there_is_not_is_refused_before_the_first_trial(tmp_path):
    done = sprig("train", *ARGUMENTS, "optim=muon,adamv", cwd=tmp_path)
    assert done.returncode == 1 and "did you mean optim=adamw?" in done.stderr
    assert not (tmp_path / "study").exists()


def test_the_best_line_can_be_copied(place):
    [line] = re.findall(r"alone\n +python src/train\.py (.+)", (place / "output.txt").read_text())
    assert "sweep=" not in line and "hydra" not in line
    done = sprig("train", *line.split(), cwd=place)
    assert done.returncode == 0, done.stderr


def test_without_a_range_there_is_nothing_to_search(tmp_path):
    done = sprig("train", "-m", "sweep=optuna", cwd=tmp_path)
    assert done.returncode == 1 and "give a setting a range" in done.stderr
