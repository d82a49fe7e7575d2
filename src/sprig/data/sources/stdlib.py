"""The source `stdlib`: the functions of the running interpreter's own standard library.

Where it stands: the first step of the way data takes. It is the source `folder` on a folder that every
machine has: real code by many hands, and none to download.
"""

import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.sources import folder

# Installed packages, tests (broken code on purpose among them), and what building the interpreter left there.
_PRUNED = (".*", "__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test", "config-*")


@dataclass
class Config(DataConfig):
    """The standard library's code."""

    source: str = "stdlib"
    unit: str = "function"
    """What a document is: function (methods included), or file."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the standard library's documents, ordered by path; ValueError where it has no source files."""
    root = sysconfig.get_path("stdlib")
    if not Path(root).is_dir():
        raise ValueError(f"data=stdlib: this Python keeps no source files of its standard library in {root}")
    return folder.documents_below(folder.Config(path=root, unit=config.unit), _PRUNED, skips)
