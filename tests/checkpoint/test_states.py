"""The states that a run goes on from: whatever happens while one is written, the newest whole one is found."""

import errno
import os
import random
import resource
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch

from random_models import random_model
from sprig.checkpoint import load, save
from sprig.checkpoint.files import check_manifest, tidy
from sprig.checkpoint.states import newest_state, state_path, write_state
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)
KILLS = 100


def state(step: int, size: int = 20_000) -> dict[str, object]:
    return {"step": step, "weights": torch.full((size,), float(step))}


def write(directory: Path, *steps: int) -> None:
    for step in steps:
        write_state(state_path(directory, step), state(step))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_the_two_newest_are_kept_by_their_number_and_not_by_their_name(tmp_path: Path) -> None:
    write(tmp_path, 8, 9, 10, 100)
    assert names(tmp_path) == {"step-10", "step-100"}
    path, damages = newest_state(tmp_path)
    assert path == tmp_path / "step-100" / "state.ckpt" and not damages
    assert torch.load(path, weights_only=True)["step"] == 100


def test_a_state_is_written_again_in_the_place_of_itself(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 2)
    assert names(tmp_path) == {"step-1", "step-2"}


@pytest.mark.parametrize("damaged", ["state.ckpt", "manifest.json"])
@pytest.mark.parametrize("cut", [None, 0, 50])
def test_a_damaged_newest_is_named_and_gives_way_once_the_run_has_gone_on(damaged, cut, tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    file = tmp_path / "step-2" / damaged
    if cut is None:
        file.unlink()
    else:
        os.truncate(file, cut)
    path, [damage] = newest_state(tmp_path)
    assert path == state_path(tmp_path, 1) and "step-2" in damage and "\n" not in damage
    write(tmp_path, 2)
    assert newest_state(tmp_path) == (state_path(tmp_path, 2), [])
    assert names(tmp_path) == {"step-1", "step-2"}


def test_a_newest_that_the_disk_does_not_give_back_is_named_and_the_one_before_is_taken(tmp_path, monkeypatch) -> None:
    write(tmp_path, 1, 2)
    really = Path.open

    def opened(path: Path, *arguments, **options):
        if path == state_path(tmp_path, 2):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    path, [damage] = newest_state(tmp_path)
    assert path == state_path(tmp_path, 1) and "step-2" in damage and "Input/output error" in damage


def test_states_that_the_run_went_back_behind_do_not_push_out_whole_ones(tmp_path: Path) -> None:
    write(tmp_path, 10, 20)
    os.truncate(tmp_path / "step-20" / "state.ckpt", 5)
    write(tmp_path, 15)
    assert names(tmp_path) == {"step-10", "step-15"}


def test_no_whole_state_is_said_in_two_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no state to go on from"):
        newest_state(tmp_path / "states")
    write(tmp_path, 1)
    os.truncate(tmp_path / "step-1" / "state.ckpt", 5)
    with pytest.raises(ValueError, match=r"step-1/state\.ckpt is not the file that manifest\.json lists"):
        newest_state(tmp_path)


def test_a_disk_that_does_not_take_a_state_keeps_those_before(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == {"step-1", "step-2"} and newest_state(tmp_path)[0] == state_path(tmp_path, 2)


def test_what_was_moved_aside_gets_its_name_back_where_nothing_took_it(tmp_path: Path) -> None:
    for number, name in enumerate(("best", "last")):
        save(tmp_path / name, random_model(number, vocab_size=TOKENIZER.vocab_size), TOKENIZER, {"number": number})
    (tmp_path / "best").rename(tmp_path / ".best.old-7")
    shutil.copytree(tmp_path / "last", tmp_path / ".last.old-7")
    (tmp_path / ".best.part-7").mkdir()
    tidy(tmp_path)
    assert names(tmp_path) == {"best", "last"}
    assert load(tmp_path / "best").facts == {"number": 0} and load(tmp_path / "last").facts == {"number": 1}


def saves_forever(directory: Path, temporary: Path, ready: int) -> None:
    """A process that does nothing but save: a checkpoint directory and a state, as a run does."""
    os.environ["TMPDIR"] = str(temporary)
    tempfile.tempdir = None
    step = torch.load(newest_state(directory / "states")[0], weights_only=True)["step"]
    model = random_model(vocab_size=TOKENIZER.vocab_size)
    os.write(ready, b"x")
    while True:
        step += 1
        save(directory / "last", model, TOKENIZER, {"step": step})
        write_state(state_path(directory / "states", step), state(step))


@pytest.mark.slow
@pytest.mark.parametrize("temporary", ["the same file system", "another file system"])
def test_no_kill_amid_saving_loses_what_was_saved_or_leaves_anything_behind(temporary: str, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    elsewhere = Path("/dev/shm") if temporary == "another file system" else tmp_path
    if not elsewhere.is_dir() or (elsewhere.stat().st_dev == tmp_path.stat().st_dev) != (elsewhere == tmp_path):
        pytest.skip(f"{elsewhere} is not on {temporary}")
    start = time.monotonic()
    for _ in range(5):
        save(directory / "last", random_model(vocab_size=TOKENIZER.vocab_size), TOKENIZER, {"step": 1})
        write(directory / "states", 1)
    seconds = (time.monotonic() - start) / 5
    draw, amid, step = random.Random(0), 0, 1
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        for _ in range(KILLS):
            reading, ready = os.pipe()
            child = os.fork()
            if child == 0:
                saves_forever(directory, Path(folder), ready)
            os.read(reading, 1)
            select.select([], [], [], draw.uniform(0, 4 * seconds))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            os.close(ready)
            amid += any(path.name.startswith(".") for path in directory.rglob("*"))
            # The next start:
            path, damages = newest_state(directory / "states")
            tidy(directory)
            assert not damages
            for each in (directory / "states").iterdir():
                check_manifest(each, needed=["state.ckpt"])
            kept = torch.load(path, weights_only=True)
            assert kept["step"] >= step and (kept["weights"] == kept["step"]).all()
            step = kept["step"]
            assert load(directory / "last").facts["step"] in (step, step + 1)
            assert not [path for path in directory.rglob("*") if path.name.startswith(".")]
            assert not list(Path(folder).iterdir())
    print(f"{amid} of {KILLS} kills came amid a save; {step} states were written")
    assert amid > KILLS // 4 and step > KILLS // 4
