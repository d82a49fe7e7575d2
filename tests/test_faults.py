"""The fault table: each row ends a run in another way; the run that is gone on with must come to what none disturbed.

A run is the command line's own, in a forked process, so that signals, exit codes and a full disk are real. "Survived"
means: it ended as it should, with a sentence; gone on with, it has the weights and the figures of an undisturbed run;
and nothing that a save leaves half-done is there.
"""

import csv
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from sprig.checkpoint import files, load, states
from sprig.config import entry, resources
from sprig.config.run_directory import claimed
from sprig.config.training import train
from sprig.data import corpus
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.interruption import Interruption
from sprig.training.module import LanguageModelling

SETTINGS = [
    "name=test", "model=tiny", "model.attention_dropout=0.1", "data.count=120", "data.vocab_size=300",
    "data.batch_size=8", "logger=csv", "trainer.max_epochs=2", "trainer.limit_train_batches=6",
    "trainer.limit_val_batches=2", "callbacks.progress=false", "callbacks.held_out_headers=0", "prompts=[]",
    "callbacks.save_every_steps=2", "trainer.log_every_n_steps=1",
]  # fmt: skip
STEPS = 12
DISK = 48 << 20  # bytes of the small file system that some rows fill

Strike = Callable[[], None]


def run(place: Path, *arguments: str, strike: Strike = lambda: None) -> tuple[int, str]:
    """Exit code and standard error of `train.py arguments` in place; strike() changes that process before it starts."""
    child = os.fork()
    if child == 0:
        code = 70  # of a fault in the test itself
        try:
            os.chdir(place)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv = ["train.py", *arguments]
            strike()
            entry.run("train", train)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), (place / "err").read_text()


def result(directory: Path) -> tuple[bytes, list[dict[str, Any]], list[tuple[str, ...]]]:
    """What a run came to: its weights, the figures of its epochs, and the loss of each step in metrics.csv."""
    trace = json.loads((directory / "trace.json").read_text())
    figures = [{name: epoch[name] for name in ("epoch", "step", "tokens", "metrics")} for epoch in trace["epochs"]]
    with (directory / "metrics.csv").open(newline="") as file:
        losses = [(row["step"], row["train/step_loss"]) for row in csv.DictReader(file) if row["train/step_loss"]]
    return (directory / "checkpoints" / "last" / "model.safetensors").read_bytes(), figures, losses


# What strikes


def before(owner: Any, name: str, call: int, act: Strike, when: Callable[..., bool] = lambda *_: True) -> Strike:
    """act() comes before a call of owner.name, counted from 1; calls for which when() is false do not count."""

    def strike() -> None:
        original, calls = getattr(owner, name), iter(range(1, 10**6))

        def struck(*arguments: Any, **options: Any) -> Any:
            if when(*arguments) and next(calls) == call:
                act()
            return original(*arguments, **options)

        setattr(owner, name, struck)

    return strike


def both(*strikes: Strike) -> Strike:
    return lambda: [strike() for strike in strikes] and None


def send(number: int) -> Strike:
    return lambda: os.kill(os.getpid(), number)


def fail(error: BaseException) -> Strike:
    def act() -> None:
        raise error

    return act


def at_step(step: int, act: Strike) -> Strike:
    """act() comes at the end of a step, after the save that may be due then."""
    return before(Interruption, "on_train_batch_end", step, act)


def in_training(call: int, act: Strike) -> Strike:
    return before(LanguageModelling, "training_step", call, act)


def in_validation(call: int, act: Strike) -> Strike:
    return before(LanguageModelling, "validation_step", call, act)


kill = send(signal.SIGKILL)


def break_weights() -> None:
    """The weights become nan after step 5."""
    original = Checkpoints.on_train_batch_end

    def on_train_batch_end(self: Any, trainer: Any, module: Any, *rest: Any) -> None:
        if trainer.global_step == 5:
            with torch.no_grad():
                module.transformer.model.norm.weight.fill_(math.nan)
        original(self, trainer, module, *rest)

    Checkpoints.on_train_batch_end = on_train_batch_end  # type: ignore[method-assign]


def bad_gradients(*steps: int) -> Strike:
    """Gradients are nan in these steps, counted from 1."""

    def strike() -> None:
        original, calls = LanguageModelling.training_step, iter(range(1, 10**6))

        def training_step(self: Any, *arguments: Any) -> torch.Tensor:
            loss = original(self, *arguments)
            return loss * math.nan if next(calls) in steps else loss

        LanguageModelling.training_step = training_step  # type: ignore[method-assign]

    return strike


def hang_when_stopped() -> None:
    """SIGTERM in a validation that hangs, and once more."""
    send(signal.SIGTERM)()
    threading.Timer(1.5, send(signal.SIGTERM)).start()  # at once, it would be the same one
    signal.pause()


def limit_files(size: int) -> Strike:
    """No file may be larger: what a full disk does, where no small file system can be mounted."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill() -> None:
    """Fill the file system of the run, whose folder is named disk."""
    with suppress(OSError), Path("disk/filler").open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass


def free(*_: Any) -> None:
    Path("disk/filler").unlink()


def remount(how: str) -> Strike:
    return lambda: subprocess.run(["mount", "-o", f"remount,{how}", Path("disk").resolve()], check=True) and None


def no_encoding() -> None:
    """The processes that encode documents are killed, as by a system without memory left."""
    Path("dies.py").write_text("import os; os.kill(os.getpid(), 9)")
    corpus._MANY = 1
    corpus.encoding_worker.__file__ = str(Path("dies.py").resolve())


# What becomes of the run directory


def newest(directory: Path) -> Path:
    return max((directory / "checkpoints" / "states").glob("step-*"), key=lambda state: int(state.name[5:]))


def cut_newest(name: str, size: int) -> Callable[[Path], None]:
    return lambda directory: os.truncate(newest(directory) / name, size)


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda directory: os.truncate(directory / name, size)


def leave_behind(directory: Path) -> None:
    """What kills at other moments would have left."""
    checkpoints = directory / "checkpoints"
    for name in (".last.part-1", "states/.step-9.part-1", ".last.old-1"):
        (checkpoints / name).mkdir()
        (checkpoints / name / "model.safetensors").write_bytes(b"half")
    (directory / "trace.json.part").write_text("{")
    (directory / "metrics.csv.part").write_text("step")


def occupy(directory: Path) -> None:
    """Another process trains in it: this one is refused, and nothing changes."""
    with claimed(directory):
        code, errors = run(directory.parent, f"resume={directory}")
    assert code == 1 and "is being trained in by another process" in errors


def damage_both(directory: Path) -> None:
    """With both states damaged the run is refused; with the newest whole again it goes on."""
    content = (newest(directory) / "state.ckpt").read_bytes()
    for state in (directory / "checkpoints" / "states").glob("step-*/state.ckpt"):
        os.truncate(state, 9)
    code, errors = run(directory.parent, f"resume={directory}")
    assert code == 1 and "has no state to go on from" in errors and errors.count("\n") <= 2
    (newest(directory) / "state.ckpt").write_bytes(content)


@dataclass
class Fault:
    """A row of the table."""

    strike: Strike = lambda: None
    """Changes the first part's process."""
    code: int = 0
    """What the first part ends with."""
    says: str = ""
    """Part of what it says."""
    damage: Callable[[Path], object] = lambda _: None
    """Done to the run directory between the two parts."""
    resumed_says: str = ""
    lost: str = ""
    """Figures of before that may be missing: rows of metrics.csv, or epochs of trace.json as well."""
    arguments: tuple[str, ...] = ()


def killed(damage: Callable[[Path], object], resumed_says: str = "", lost: str = "") -> Fault:
    """Killed after step 5, of which steps 2 and 4 are saved; then damaged."""
    return Fault(at_step(5, kill), -9, "", damage, resumed_says, lost)


FAULTS = {
    "SIGKILL between two saves": Fault(at_step(5, kill), -9),
    "SIGKILL amid writing a state": Fault(before(states, "_write", 2, kill), -9),
    "SIGKILL before a state's manifest": Fault(before(states, "write_manifest", 3, kill), -9),
    "SIGKILL before a state has its name": Fault(
        before(Path, "rename", 2, kill, lambda path, _: path.name.startswith(".step-")), -9
    ),
    "SIGKILL between the two renames of last": Fault(
        before(Path, "rename", 2, kill, lambda path, _: path.name.startswith(".last.part-")), -9
    ),
    "SIGKILL amid the removal of what last was": Fault(before(files.shutil, "rmtree", 5, kill), -9, lost="rows"),
    "SIGKILL amid the removal of an old state": Fault(before(states, "remove", 1, kill), -9),
    "SIGKILL amid writing trace.json": Fault(
        before(Path, "replace", 5, kill, lambda path, _: path.name == "trace.json.part"), -9
    ),
    "SIGKILL during validation": Fault(in_validation(2, kill), -9),
    "SIGKILL after the last step": Fault(at_step(STEPS, kill), -9),
    "SIGTERM": Fault(at_step(3, send(15)), 143, "Stopped by SIGTERM after step 3; everything is saved. Go on with:"),
    "SIGINT": Fault(at_step(3, send(2)), 130, "Stopped by SIGINT after step 3; everything is saved. Go on with:"),
    "SIGUSR1": Fault(at_step(3, send(10)), 138, "Stopped by SIGUSR1 after step 3; everything is saved. Go on with:"),
    "SIGTERM during validation": Fault(in_validation(1, send(15)), 143, "Stopped by SIGTERM after step 6"),
    "two SIGTERM in a validation that hangs": Fault(in_validation(1, hang_when_stopped), -15, "Once more ends at once"),
    "newest state cut short": killed(cut_newest("state.ckpt", 999), "The run goes on from step-2"),
    "newest state empty": killed(cut_newest("state.ckpt", 0), "The run goes on from step-2"),
    "newest manifest cut short": killed(cut_newest("manifest.json", 20), "The run goes on from step-2"),
    "newest manifest gone": killed(lambda run: (newest(run) / "manifest.json").unlink(), "goes on from step-2"),
    "both states damaged, one restored": killed(damage_both),
    "trace.json cut short": Fault(at_step(8, kill), -9, "", cut("trace.json", 50), "the run goes on", "epochs"),
    "metrics.csv cut amid a line": killed(cut("metrics.csv", 60), lost="rows"),
    "leftovers of killed saves": killed(leave_behind),
    "another process in the directory": killed(occupy),
    "weights that are not finite": Fault(break_weights, 1, "is not finite after step 6: training has diverged"),
    "out of memory, GPU": Fault(
        in_training(5, fail(torch.OutOfMemoryError("CUDA out of memory."))),
        1,
        "data.batch_size=4 trainer.accumulate_grad_batches=2",
    ),
    "out of memory, CPU": Fault(in_training(5, lambda: torch.empty(1 << 50)), 1, "Out of memory. What lowers it"),
    "an error in the code": Fault(in_training(5, fail(KeyError("x"))), 1, "Error: KeyError"),
    "files limited in size for a while": Fault(
        both(at_step(3, limit_files(50_000)), at_step(5, limit_files(resource.RLIM_INFINITY))),
        0,
        "Step 4 could not be saved",
    ),
    "files limited in size to the end": Fault(at_step(3, limit_files(50_000)), 1, "Go on with:", lost="rows"),
    "no room before the start": Fault(
        lambda: setattr(resources, "disk_needed", lambda *_: 1 << 60), 1, "name another place by output_dir="
    ),
    "a killed preparation process": Fault(no_encoding, 1, "was ended by SIGKILL", arguments=("cache_dir=fresh",)),
}

# On a file system of their own:
DISK_FAULTS = {
    "disk full for a while": Fault(both(at_step(3, fill), at_step(5, free)), 0, "Step 4 could not be saved"),
    "disk full to the end": Fault(at_step(3, fill), 1, "Free that space or make it writable. Go on with:", free),
    "disk read-only for a while": Fault(
        both(at_step(3, remount("ro")), at_step(5, remount("rw"))), 0, "Read-only file system"
    ),
    "disk read-only to the end": Fault(
        at_step(3, remount("ro")), 1, "Free that space or make it writable.", lambda _: remount("rw")()
    ),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that nothing happened to, beside the prepared data."""
    place = tmp_path_factory.mktemp("undisturbed")
    assert run(place, *SETTINGS, "hydra.run.dir=run", "cache_dir=cache") == (0, "")
    return place / "run"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here; files limited in size stand for it")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def survives(fault: Fault, place: Path, directory: Path, undisturbed: Path) -> None:
    """Assert it."""
    cache = f"cache_dir={undisturbed.parent / 'cache'}"
    settings = [*SETTINGS, f"hydra.run.dir={directory}", cache, *fault.arguments]
    code, errors = run(place, *settings, strike=fault.strike)
    assert (code, fault.says in errors, "Traceback" in errors) == (fault.code, True, False), errors
    os.chdir(place)
    if code:
        if directory.exists():
            fault.damage(directory)
        again = [f"resume={directory}"] if (directory / "checkpoints" / "states").exists() else [*settings[:-1], cache]
        code, errors = run(place, *again)
        assert code == 0 and fault.resumed_says in errors, errors
        assert bool(errors) == bool(fault.resumed_says), errors
    weights, figures, losses = result(directory)
    expected = result(undisturbed)
    assert weights == expected[0]
    assert figures == expected[1] or fault.lost == "epochs"
    assert losses == expected[2] or fault.lost
    checkpoints = directory / "checkpoints"
    assert {path.name for path in checkpoints.iterdir()} == {"best", "last", "states"}
    assert {path.name for path in (checkpoints / "states").iterdir()} == {"step-10", f"step-{STEPS}"}
    assert not [path for path in directory.iterdir() if path.name.endswith(".part")]
    for name in ("best", "last"):
        load(checkpoints / name)


@pytest.mark.slow
def test_what_is_saved_survives_every_fault_of_the_table(
    undisturbed: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fates = {}
    for number, (name, fault) in enumerate((FAULTS | DISK_FAULTS).items()):
        place = tmp_path / str(number)
        place.mkdir()
        directory = place / "run"
        if name in DISK_FAULTS:
            place, directory = tmp_path, disk / str(number)
        try:
            survives(fault, place, directory, undisturbed)
            fates[name] = "survived"
        except AssertionError as error:
            fates[name] = f"LOST: {error}"
    with capsys.disabled():
        print()
        for name, fate in fates.items():
            print(f"{name:45}{fate}")
        print(f"survived {list(fates.values()).count('survived')} of {len(fates)}")
    assert set(fates.values()) == {"survived"}


@pytest.mark.slow
def test_ten_bad_gradients_in_a_row_end_a_run_with_the_place_and_its_last_good_weights(
    undisturbed: Path, tmp_path: Path
) -> None:
    settings = [*SETTINGS, "hydra.run.dir=run", f"cache_dir={undisturbed.parent / 'cache'}"]
    code, errors = run(tmp_path, *settings, strike=bad_gradients(*range(3, 13)))
    assert code == 1 and "not finite 10 steps in a row, the last time in epoch 2 at batch 6" in errors
    assert "What it was before is saved; lower optim.lr and start again." in errors and "Traceback" not in errors
    assert json.loads((tmp_path / "run" / "trace.json").read_text())["training"]["skipped_steps"] == 10
    ended = load(tmp_path / "run" / "checkpoints" / "last").transformer
    assert all(parameter.isfinite().all() for parameter in ended.parameters())


@pytest.mark.slow
def test_a_bad_gradient_is_counted_once_across_a_kill(undisturbed: Path, tmp_path: Path) -> None:
    settings = [*SETTINGS, "hydra.run.dir=run", f"cache_dir={undisturbed.parent / 'cache'}"]
    code, errors = run(tmp_path, *settings, strike=both(bad_gradients(3), at_step(5, kill)))
    assert code == -9, errors
    assert run(tmp_path, f"resume={tmp_path / 'run'}") == (0, "")
    assert json.loads((tmp_path / "run" / "trace.json").read_text())["training"]["skipped_steps"] == 1
