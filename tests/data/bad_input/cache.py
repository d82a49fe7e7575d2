"""Prepared data that is damaged or of something else, and disks that are full."""

import errno
import os
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from bad_input.files import SMALL, code, written
from bad_input.row import Build, Change, normalise, refuse
from sprig.data.config import DataConfig
from sprig.data.preparation import prepare
from sprig.data.prepared import Prepared
from sprig.data.sources import folder


class _Full:
    """A file on a disk on which there is no space left."""

    def __init__(self, file: Any, room: int, from_close_on: bool) -> None:
        self._file, self._room, self._from_close_on = file, room, from_close_on

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0 and not self._from_close_on:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))

    def close(self) -> None:
        self._file.close()
        if self._from_close_on:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self) -> "_Full":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def full_disk(pattern: str, *, room: int = 0, from_close_on: bool = False) -> Change:
    """Files of such a name take no more than room bytes, or fail only when they are closed and flushed.

    Whoever writes through pathlib meets it: the store, the corpus, the tokenizer, the facts, the manifest.
    """

    def arrange(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        really = Path.open

        def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            file = really(path, mode, *arguments, **options)
            return _Full(file, room, from_close_on) if "w" in mode and fnmatch(path.name, pattern) else file

        monkeypatch.setattr(Path, "open", opened)

    return arrange


def prepared_before(damage: Callable[[Path], object], **settings: Any) -> Build:
    """Good files whose prepared data is in the cache, and damaged there."""

    def build(place: Path) -> DataConfig:
        config = code(**settings)(place)
        prepare(config, place / "cache")
        (entry,) = (place / "cache").iterdir()
        damage(entry)
        return config

    return build


def truncated(name: str) -> Callable[[Path], None]:
    return lambda entry: os.truncate(entry / name, (entry / name).stat().st_size - 1)


def left_by_a_process_that_is_no_more(entry: Path) -> None:
    entry.rename(entry.with_name(".making-x"))  # without the lock of a living one


def of_other_settings(place: Path) -> DataConfig:
    """The cache holds what the same files came to when their functions were wanted, and with another seed."""
    prepare(code(unit="function")(place), place / "cache")
    prepare(code(seed=1)(place), place / "cache")
    return code()(place)


def of_files_that_were_others(place: Path) -> DataConfig:
    """The cache holds what stood at the same paths before."""
    code({"good_0.py": "old = 1\n"})(place)
    prepare(folder.Config(path=str(place / "code"), **SMALL), place / "cache")
    return code()(place)


def made_anew(prepared: Prepared) -> bool:
    return not prepared.funnel.from_cache


NO_SPACE = ("There is no space left in", "for the prepared data.\nFree some there", "cache_dir=")
ROWS = [
    normalise("cache: a store that is cut off", prepared_before(truncated("documents.jsonl")), prepared=made_anew),
    normalise("cache: a vocabulary that is cut off", prepared_before(truncated("tokenizer.json")), prepared=made_anew),
    normalise("cache: facts that are cut off", prepared_before(truncated("facts.json")), prepared=made_anew),
    normalise("cache: a manifest that is cut off", prepared_before(truncated("manifest.json")), prepared=made_anew),
    normalise(
        "cache: tokens that are gone", prepared_before(lambda e: (e / "val.ids.npy").unlink()), prepared=made_anew
    ),
    normalise(
        "cache: a manifest that is no text",
        prepared_before(lambda entry: written(entry / "manifest.json", b"\xff\xfe")),
        prepared=made_anew,
    ),
    normalise(
        "cache: a file that has grown",
        prepared_before(lambda e: os.truncate(e / "train.npy", 9999)),
        prepared=made_anew,
    ),
    normalise(
        "cache: what a killed process has left",
        prepared_before(left_by_a_process_that_is_no_more),
        prepared=made_anew,
    ),
    normalise("cache: of other settings", of_other_settings, prepared=made_anew),
    normalise("cache: of files that were others", of_files_that_were_others, prepared=made_anew),
    *(
        refuse(f"cache: a full disk at {name}", code(), *NO_SPACE, arrange=full_disk(name, **how), whole=True)
        for name, how in {
            "documents.jsonl": {"room": 200},
            "signatures": {"from_close_on": True},
            "train.*": {},
            "tokenizer.json": {},
            "facts.json": {},
            "manifest.json": {},
        }.items()
    ),
    refuse(
        "cache: a full disk at the closing of the store",
        code(),
        *NO_SPACE,
        arrange=full_disk("documents.jsonl", from_close_on=True),
        whole=True,
    ),
]
