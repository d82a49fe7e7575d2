import json
import shutil
from pathlib import Path

import pytest

from cli.command import sprig
from sprig.checkpoint import load

pytestmark = pytest.mark.slow  # each goes through several processes, one after the other

SETTINGS = ["data=folder", "data.path=code", "data.vocab_size=262", "data.seq_len=32", "data.batch_size=4"]
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
    assert "not what the run was trained on and with" in done.stderr and done.stderr.count("\n") <= 2


def test_a_run_goes_on_with_the_data_in_its_cache_where_its_source_has_changed(place):
    kept = ["trainer.max_steps=2", "output_dir=kept", "cache_dir=kept/cache"]
    assert sprig("train", *SETTINGS, *kept, cwd=place).returncode == 0
    [cached] = (place / "kept" / "cache").glob("folder-*")
    new = place / "code" / "new.py"
    new.write_text("def new(a):\n    return a\n")
    again = ["data=prepared", f"data.path={cached}", "data.seq_len=32", "data.batch_size=4", "trainer.max_steps=3"]
    done = sprig("train", f"resume={(place / 'kept' / 'latest').resolve()}", *again, cwd=place)
    new.unlink()
    assert done.returncode == 0, done.stderr


def test_other_settings_of_the_data_are_refused(place):
    done = sprig("train", "resume=last", "trainer.max_epochs=2", "data.seed=1", cwd=place)
    assert done.returncode == 1 and "not what the run was trained on and with" in done.stderr


def test_the_same_data_goes_on(place):
    done = sprig("train", "resume=last", "trainer.max_epochs=2", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stdout and "This run was finished" not in done.stdout
    assert f"Going on with {(place / 'outputs' / 'latest').resolve()}, after step" in " ".join(done.stdout.split())
    done = sprig("train", "resume=last", cwd=place)  # the settings it went on with are those it keeps
    assert done.returncode == 0 and "best        epoch 2" in done.stdout
    assert "This run was finished: to train more, raise trainer.max_epochs" in done.stdout


@pytest.mark.parametrize("key", ["hydra.run.dir", "+hydra.callbacks.x", "++hydra.job.env_set.A", "hydra/launcher"])
def test_a_run_directory_cannot_configure_hydra(key, place):
    foreign = place / "foreign"
    (foreign / "checkpoints" / "states" / "step-1").mkdir(parents=True, exist_ok=True)
    (foreign / ".hydra").mkdir(exist_ok=True)
    touched = place / "touched"
    (foreign / ".hydra" / "overrides.yaml").write_text(f"- '{key}={{_target_: pathlib.Path.touch, self: {touched}}}'\n")
    done = sprig("train", f"resume={foreign}", cwd=place)
    assert done.returncode == 1 and "which no run of Sprig's writes" in done.stderr
    assert not touched.exists()


def settings_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".log"}


@pytest.mark.parametrize(
    "change",
    [
        *("optim.lr=0.001", "optim=adamw", "model.num_hidden_layers=1", "seed=3", "data.seed=1"),
        *("data.document_mask=true", "data=stdlib"),
    ],
)
def test_a_run_does_not_go_on_as_another_and_keeps_all_that_it_has(change, place):
    run = (place / "outputs" / "latest").resolve()
    before = settings_of(run)
    done = sprig("train", "resume=last", "trainer.max_epochs=9", change, cwd=place)
    assert done.returncode == 1 and "it cannot go on" in done.stderr and done.stderr.count("\n") <= 2
    assert settings_of(run) == before


@pytest.mark.parametrize("damage", [b"", b"x" * 5000, None])
def test_a_run_without_a_whole_state_says_so_and_nothing_is_touched(damage, place, tmp_path):
    shutil.copytree((place / "outputs" / "latest").resolve(), tmp_path / "run")
    for state in (tmp_path / "run" / "checkpoints" / "states").glob("step-*/state.ckpt"):
        state.write_bytes(state.read_bytes()[:5000] if damage is None else damage)
    before = settings_of(tmp_path / "run")
    done = sprig("train", f"resume={tmp_path / 'run'}", "trainer.max_epochs=9", cwd=place)
    assert done.returncode == 1 and "has no state to go on from" in done.stderr and done.stderr.count("\n") <= 2
    assert settings_of(tmp_path / "run") == before


@pytest.mark.parametrize("name", ["best", "last"])
@pytest.mark.parametrize("damage", ["no manifest", "a link"])
def test_what_could_not_be_saved_over_is_refused_before_anything_is_trained(name, damage, place, tmp_path):
    shutil.copytree((place / "outputs" / "latest").resolve(), tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / name
    if damage == "a link":
        checkpoint.rename(tmp_path / "elsewhere")
        checkpoint.symlink_to(tmp_path / "elsewhere")
    else:
        (checkpoint / "manifest.json").unlink()
    before = settings_of(tmp_path / "run")
    done = sprig("train", f"resume={tmp_path / 'run'}", "trainer.max_epochs=9", cwd=place)
    assert done.returncode == 1 and f"{checkpoint} exists and is no checkpoint directory" in done.stderr
    assert done.stderr.count("\n") <= 2 and settings_of(tmp_path / "run") == before


def test_padded_rows_are_not_dealt_anew_by_a_run_that_goes_on(place):
    short = ["data.layout=padded", "trainer.compile=false", "trainer.max_steps=2", "output_dir=padded"]
    assert sprig("train", *SETTINGS, *short, cwd=place).returncode == 0
    run = (place / "padded" / "latest").resolve()
    done = sprig("train", f"resume={run}", "trainer.compile=true", "trainer.max_steps=4", cwd=place)
    assert done.returncode == 1 and "changed: trainer.compile" in done.stderr


@pytest.mark.parametrize("content", [b"", b"a: [b", b"\xff", b"42", b"!!python/object/apply:os.system ['touch x']"])
def test_damaged_settings_of_a_run_are_named(content, place, tmp_path):
    shutil.copytree((place / "outputs" / "latest").resolve(), tmp_path / "run")
    (tmp_path / "run" / ".hydra" / "overrides.yaml").write_bytes(content)
    done = sprig("train", f"resume={tmp_path / 'run'}", cwd=place)
    assert done.returncode == 1 and "overrides.yaml" in done.stderr and done.stderr.count("\n") <= 2


def test_figures_of_before_stay_in_metrics_csv(place):
    run = (place / "outputs" / "latest").resolve()
    before = (run / "metrics.csv").read_text()
    done = sprig("train", "resume=last", "trainer.max_epochs=3", cwd=place)
    assert done.returncode == 0, done.stderr
    after = (run / "metrics.csv").read_text()
    assert after.startswith(before) and len(after) > len(before)


@pytest.mark.parametrize("damaged", ["state.ckpt", "manifest.json"])
def test_a_damaged_newest_state_is_named_and_the_one_before_is_used(damaged, place, tmp_path):
    shutil.copytree((place / "outputs" / "latest").resolve(), tmp_path / "run")
    states = tmp_path / "run" / "checkpoints" / "states"
    before, newest = sorted(states.iterdir(), key=lambda state: int(state.name.removeprefix("step-")))
    content = (newest / damaged).read_bytes()
    (newest / damaged).write_bytes(content[: len(content) // 2])
    done = sprig("train", f"resume={tmp_path / 'run'}", cwd=place)
    assert done.returncode == 0, done.stderr
    assert newest.name in done.stderr and f"The run goes on from {before.name}" in done.stderr
    assert sorted(states.iterdir()) == sorted([before, newest])
    load(tmp_path / "run" / "checkpoints" / "last")


def test_a_run_that_is_gone_on_with_is_the_same_run_in_wandb_and_has_the_trace_of_before(place, tmp_path):
    settings = [*SETTINGS, f"output_dir={tmp_path}", "logger=wandb", "logger.offline=true"]
    done = sprig("train", *settings, cwd=place)
    assert done.returncode == 0, done.stderr
    run = (tmp_path / "latest").resolve()
    first = json.loads((run / "trace.json").read_text())
    done = sprig("train", "resume=last", f"output_dir={tmp_path}", "trainer.max_epochs=2", cwd=place)
    assert done.returncode == 0, done.stderr
    second = json.loads((run / "trace.json").read_text())
    assert len({path.name.rsplit("-", 1)[1] for path in (run / "wandb").glob("offline-run-*")}) == 1
    assert len(list((run / "wandb").glob("offline-run-*"))) == 2
    assert second["epochs"][0] == first["epochs"][0] and len(second["epochs"]) == 2
    for name in ("id", "command", "started"):
        assert second["run"][name] == first["run"][name]
    assert second["run"]["seconds"] > first["run"]["seconds"]
