from pathlib import Path

import pytest

from cli.command import sprig

SETTINGS = ["data=folder", "data.path=code", "data.vocab_size=260", "data.seq_len=32", "data.batch_size=4"]
SETTINGS += ["model=tiny", "logger=csv", "trainer.max_epochs=1", "prompts=[]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a finished run on 30 files of code."""
    place = tmp_path_factory.mktemp("resume")
    (place / "code").mkdir()
    for number in range(30):
        (place / "code" / f"f{number}.py").write_text(f"def f{number}(a, b):\n    return a * {number} + b\n")
    done = sprig("train", *SETTINGS, cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def test_files_that_came_since_do_not_move_trained_ones_into_validation(place):
    new = place / "code" / "new.py"
    new.write_text("def new(a):\n    return a\n")
    done = sprig("train", "resume=last", "trainer.max_epochs=2", cwd=place)
    new.unlink()
    assert done.returncode == 1
    assert "not what this run was trained on" in done.stderr and done.stderr.count("\n") <= 2


def test_other_settings_of_the_data_are_refused(place):
    done = sprig("train", "resume=last", "trainer.max_epochs=2", "data.seed=1", cwd=place)
    assert done.returncode == 1 and "not what this run was trained on" in done.stderr


def test_the_same_data_goes_on(place):
    done = sprig("train", "resume=last", "trainer.max_epochs=2", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stdout
    done = sprig("train", "resume=last", cwd=place)  # the settings it went on with are those it keeps
    assert done.returncode == 0 and "step 14" in done.stdout


@pytest.mark.parametrize("key", ["hydra.run.dir", "+hydra.callbacks.x", "++hydra.job.env_set.A", "hydra/launcher"])
def test_a_run_directory_cannot_configure_hydra(key, place):
    foreign = place / "foreign"
    (foreign / "checkpoints").mkdir(parents=True, exist_ok=True)
    (foreign / "checkpoints" / "last.ckpt").write_bytes(b"x")
    (foreign / ".hydra").mkdir(exist_ok=True)
    touched = place / "touched"
    (foreign / ".hydra" / "overrides.yaml").write_text(f"- '{key}={{_target_: pathlib.Path.touch, self: {touched}}}'\n")
    done = sprig("train", f"resume={foreign}", cwd=place)
    assert done.returncode == 1 and "which no run of Sprig's writes" in done.stderr
    assert not touched.exists()
