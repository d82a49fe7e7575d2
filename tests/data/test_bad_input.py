"""A table of malformed inputs: each refuses the run, is left out and counted, or is made good, within time and memory.

The inputs are in `bad_input`, a module for each source. A refusal is a ValueError of one or two lines; all else goes
on, with every good document there. No pipe and no device is ever opened, and what stands outside a folder never comes
in.
"""

import os
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # before anything of theirs is imported

from bad_input import cache, folder, git, hub, jsonl, mixture, packages, parquet
from bad_input.files import FEW, MANY
from bad_input.row import Normalise, Refuse, Row, Skip

from sprig.data.collection import collect
from sprig.data.config import DataConfig
from sprig.data.preparation import prepare
from sprig.data.prepared import Prepared
from sprig.data.rows_of_tables import TableConfig
from sprig.trace.records import Funnel

ROWS = [row for of in (folder, jsonl, parquet, hub, git, packages, mixture, cache) for row in of.ROWS]


class _Late(BaseException):
    """Not an Exception: nobody takes it for an error of the system."""


@dataclass
class _Watch:
    """What one run took, and what it opened."""

    seconds: float = 0
    mebibytes: float = 0
    opened: list[str] = field(default_factory=list)


_watches: list[_Watch] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watches and isinstance(arguments[0], str | bytes | os.PathLike):
        _watches[-1].opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hear)  # there is no way to take it away again: it hears nothing while nobody watches


def _status(name: str) -> float:
    """A figure of this process in MiB: VmRSS, what it holds, or VmHWM, the most it has held."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


@contextmanager
def watched(seconds: float) -> Iterator[_Watch]:
    """Measure what goes on, and end it where it takes twice the time it may."""

    def late(*_: object) -> None:
        raise _Late(f"still at it after {2 * seconds:g} s")

    previous = signal.signal(signal.SIGALRM, late)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # from here on, VmHWM is what is held at most
    watch, before, start = _Watch(), _status("VmRSS"), time.monotonic()
    _watches.append(watch)
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        _watches.remove(watch)
        watch.seconds, watch.mebibytes = time.monotonic() - start, _status("VmHWM") - before


@contextmanager
def user(stranger: bool) -> Iterator[None]:
    """Permissions are not for root: be another user for a while, if need be."""
    before = os.geteuid()
    if stranger and before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setenv("HOME", "/nonexistent")  # whose git trusts nobody


def good_of(row: Row, config: DataConfig) -> list[str]:
    if row.good is not None:
        return row.good
    return MANY if isinstance(config, TableConfig) or config.source == "hub" else FEW


def run(row: Row, config: DataConfig, place: Path) -> tuple[list[str], Funnel, Prepared | None]:
    """The texts that are left, what became of the others, and all that was prepared, if it was."""
    if row.whole:
        prepared = prepare(config, place / "cache")
        documents = [*prepared.train_documents, *prepared.val_documents]
        return [document.text for document in documents], prepared.funnel, prepared
    (place / "work").mkdir()
    (place / "work").chmod(0o777)
    with user(row.stranger):
        collection = collect(config, place / "work")
    return [document.text for document in collection.documents], collection.funnel, None


def is_a_pipe_or_a_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (a path may be relative, or no path at all)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and path not in ("/dev/null", "/dev/urandom")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_malformed_does_what_it_should_and_costs_little(
    row: Row, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = row.build(place)
    if row.arrange:
        row.arrange(monkeypatch, place)
    refusal, texts, funnel, prepared = None, [], Funnel(), None
    with watched(row.seconds) as watch:
        try:
            texts, funnel, prepared = run(row, config, place)
        except ValueError as error:
            refusal = error
    monkeypatch.undo()

    if isinstance(row.outcome, Refuse):
        assert refusal is not None, f"it went on: {funnel.left_out}"
        assert type(refusal) is ValueError, "an error of somebody else's, by chance of the right kind"
        said = str(refusal)
        assert said.count("\n") <= 1 and len(said) < 1000
        assert [words for words in row.outcome.words if words not in said] == [], said
    else:
        assert refusal is None, refusal
        good = good_of(row, config)
        if config.unit == "function":
            good = [text.rstrip("\n") for text in good]
        more = list(row.outcome.texts) if isinstance(row.outcome, Normalise) else []
        assert sorted(texts) == sorted([*good, *more])
        assert funnel.kept_documents == len(texts)
    if isinstance(row.outcome, Skip):
        assert funnel.left_out == row.outcome.counts
    if isinstance(row.outcome, Normalise):
        assert funnel.left_out == {}
        assert row.outcome.prepared is None or (prepared is not None and row.outcome.prepared(prepared))

    assert watch.seconds < row.seconds
    assert watch.mebibytes < row.mebibytes
    assert row.becomes_a_pipe or [path for path in watch.opened if is_a_pipe_or_a_device(path)] == []
    assert "Traceback" not in "".join(capfd.readouterr())
    if (place / "cache").exists():
        assert [path.name for path in (place / "cache").iterdir() if path.name.startswith(".")] == []


def test_the_table_has_rows_of_each_class_and_each_name_once() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60
    counts = {kind: sum(isinstance(row.outcome, kind) for row in ROWS) for kind in (Refuse, Skip, Normalise)}
    assert min(counts.values()) >= 15
