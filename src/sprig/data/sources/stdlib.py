"""The source `stdlib`: the files of the running interpreter's own standard library.

Where it stands: the first step of the way data takes. It is a folder that every machine has: real code by many hands,
and nothing to download.
"""

import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.file_tree import files_below
from sprig.data.sources.folder import selection

# Installed packages, tests (broken code on purpose among them), and what building the interpreter left there.
_PRUNED = (".*", "__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test", "config-*")
_MAX_FILE_BYTES = 1_000_000  # larger ones are tables


@dataclass
class Config(DataConfig):
    """The standard library's code."""

    source: str = "stdlib"


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the standard library's files, ordered by path; ValueError where it has no source files."""
    root = _root()
    files = files_below(root, selection(["python"], []), _PRUNED, skips, _MAX_FILE_BYTES)
    return (Document(text, path, group=path, language="python", license="PSF-2.0") for path, text in files)


def state(config: Config) -> Iterator[str]:
    """The interpreter's version: its library does not change without it."""
    yield sys.version
    yield str(_root())


def _root() -> Path:
    root = Path(sysconfig.get_path("stdlib"))
    if not root.is_dir():
        raise ValueError(f"data=stdlib: this Python keeps no source files of its standard library in {root}")
    return root
