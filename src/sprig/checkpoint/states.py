"""The states that a run goes on from: step-<n>/state.ckpt, a manifest beside each, the two newest kept.

A state is weights, optimiser and every counter, as the trainer dumps them. It is a pickle, written and read by the
same user's runs, and read as plain values and tensors only; what is shared with strangers is the checkpoint directory.
Each is written beside its name, brought to the disk, listed in its manifest and then renamed: no temporary folder of
the system is involved, which may be another file system, where a rename is a copy that a kill cuts short.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sprig.checkpoint.files import MANIFEST, check_manifest, remove, replacing, tidy, write_manifest

STATE = "state.ckpt"
KEPT = 2
"""States that are kept: if the newest is damaged, the run goes on from the one before."""


def state_path(directory: Path, step: int) -> Path:
    """Where the state after so many steps is kept among the states in directory."""
    return directory / f"step-{step}" / STATE


def step_of(path: Path) -> int:
    """The step of a state by its path."""
    return _step(path.parent)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state to a path that `state_path` gave, then remove all but the newest two; OSError if it cannot be.

    States of later steps are removed as well: the run went back behind them, since they were damaged.
    """
    if path.parent.exists() and not (path.parent / MANIFEST).is_file():  # damaged, and now made anew
        remove(path.parent)
    with replacing(path.parent) as part:
        with (part / path.name).open("wb") as file:
            _write(file, state)
        write_manifest(part)
    earlier, step = 0, _step(path.parent)
    for other in _newest_first(path.parent.parent):
        earlier += _step(other) < step
        if _step(other) > step or earlier >= KEPT:
            remove(other)


def newest_state(directory: Path) -> tuple[Path, list[str]]:
    """The path of the newest state that is as it was saved, and what is wrong with those newer than it.

    Removes what killed saves have left. ValueError, in two lines at most, if there is none.
    """
    tidy(directory)
    damages: list[str] = []
    for folder in _newest_first(directory):
        try:
            check_manifest(folder, needed=[STATE])
            return folder / STATE, damages
        except (ValueError, OSError) as error:  # altered; or a disk that does not give it back
            damages.append(f"{error}".splitlines()[0] if isinstance(error, ValueError) else f"{folder}: {error}")
    raise ValueError(f"{directory} has no state to go on from. {' '.join(damages[:1])}".rstrip())


def _write(file: Any, state: Mapping[str, Any]) -> None:
    try:
        torch.save(state, file)
    except RuntimeError as error:  # torch's, which closes what could not be written
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _newest_first(directory: Path) -> list[Path]:
    folders = [path for path in directory.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(folders, key=_step, reverse=True)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
