"""Prepare data and show what becomes of it: `python src/prepare.py data=folder data.path=~/code`."""

from pathlib import Path

from sprig.config.entry import run
from sprig.config.schema import PrepareConfig


def prepare(settings: PrepareConfig, directory: Path) -> None:
    """One call; the heavy libraries are imported only when there is something to do."""
    from sprig.config.preparing import prepare

    prepare(settings, directory)


if __name__ == "__main__":
    run("prepare", prepare)
