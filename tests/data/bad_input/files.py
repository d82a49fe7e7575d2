"""Files that several sources meet, and what happens to them while a run goes on."""

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bad_input.row import Build, Change
from sprig.data.config import DataConfig
from sprig.data.prepared import Prepared
from sprig.data.sources import folder
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, SPECIAL_TOKENS

MANY = [f"def good_{number}(x):\n    return x + {number}\n" for number in range(150)]
"""One broken row among them is less than one in a hundred."""
FEW = MANY[:4]
SMALL = {"vocab_size": 258, "seq_len": 64, "batch_size": 1}
"""Settings with which so little is enough to be prepared."""
MEGABYTE = 1_000_000
MARKED = "def marked(x):\n    return '<|endoftext|><|pad|><fim_middle><repo_name>'\n"
"""Code in which the vocabulary's special tokens are written out."""


def no_special_token_in(prepared: Prepared) -> bool:
    """Whether text that looks like special tokens became ordinary ones, which can be read back."""
    tokenizer, corpus = prepared.tokenizer, prepared.train.rows(0, 0).corpus
    ids = tokenizer.encode(MARKED)
    special = {*SPECIAL_TOKENS, *FILL_IN_THE_MIDDLE, *REPOSITORY}
    ends = int((corpus.ids == tokenizer.end_of_text).sum())
    return tokenizer.decode(ids) == MARKED and not special & set(tokenizer.tokens(ids)) and ends == len(corpus)


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def code(
    bad: Mapping[str, str | bytes] | None = None, make: Callable[[Path], object] | None = None, **settings: Any
) -> Build:
    """The good files in a folder, some others, and whatever make puts there."""

    def build(place: Path) -> DataConfig:
        for number, text in enumerate(FEW):
            written(place / "code" / f"good_{number}.py", text)
        for name, content in (bad or {}).items():
            written(place / "code" / name, content)
        if make:
            make(place / "code")
        return folder.Config(path=str(place / "code"), **{**SMALL, **settings})

    return build


def secret_outside(root: Path) -> Path:
    return written(root.parent / "outside" / "secret.py", "secret = 1\n")


def link(target: str, name: str = "bad.py") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        secret_outside(root)
        (root / name).symlink_to(target)

    return make


def pipe(name: str) -> Callable[[Path], None]:
    return lambda root: os.mkfifo(root / name)


def device(name: str) -> Callable[[Path], None]:
    """That of /dev/null; a pipe where nobody may make one."""

    def make(root: Path) -> None:
        try:
            os.mknod(root / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            os.mkfifo(root / name)

    return make


def socket_at(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{short}/s")  # a socket's path is limited to some 100 bytes
            Path(f"{short}/s").rename(root / name)

    return make


def sparse(name: str, size: int) -> Callable[[Path], None]:
    """A file that says it has so many bytes and takes none."""

    def make(root: Path) -> None:
        with (root / name).open("wb") as file:
            file.truncate(size)

    return make


def at_the_first_opening_of(name: str, change: Callable[[Path], object]) -> Change:
    """Change what there is the moment before the file of that name is opened."""

    def arrange(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        really, done = os.open, []

        def opened(path: Any, *arguments: Any, **options: Any) -> int:
            if str(path).endswith(name) and not done:
                done.append(path)
                change(place)
            return really(path, *arguments, **options)

        monkeypatch.setattr(os, "open", opened)

    return arrange


def gone(name: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        if (place / name).is_dir():
            shutil.rmtree(place / name)
        else:
            (place / name).unlink()

    return change


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        gone(name)(place)
        make((place / name).parent)

    return change
