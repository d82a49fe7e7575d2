"""The directory of a run and the trace that is kept in it."""

import fcntl
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sprig.data.sources.snippets.library import LIBRARY_VERSION
from sprig.trace.records import Run, Trace

COMMAND = "SPRIG_COMMAND"
"""The environment's name for the command as typed, in a process that another one of ours has started."""
INTERRUPTED = 130  # the exit code: 128 + SIGINT, as a shell reports it
LIBRARIES = ("sprig", "torch", "lightning", "tokenizers", "hydra-core")


class Occupied(ValueError):
    """The directory holds another run: a sentence for the user, and nothing in it may be touched."""


class Interrupted(Exception):
    """A signal stopped the run and it was saved; the message says how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """128 and the number of the signal, as a shell reports it."""


def register() -> None:
    """Make ${new_directory:...} known to Hydra's files."""
    OmegaConf.register_new_resolver("new_directory", _new_directory, use_cache=True, replace=True)


def _new_directory(path: str) -> str:
    """Make a directory that nobody else has: of runs that start in one second, later ones get -2, -3 ... behind it."""
    with suppress(OSError):  # Hydra comes upon it as well, and says it
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        for ending in chain([""], (f"-{number}" for number in count(2))):
            with suppress(FileExistsError):
                Path(path + ending).mkdir()
                return path + ending
    return path


def check_output(directory: Path) -> None:
    """Raise Occupied if directory already holds a run."""
    if (directory / "trace.json").exists():
        raise Occupied(f"{directory} already holds a run: choose another, or go on with it by resume={directory}.")


def new_trace(directory: Path, seed: int | None, device: str | None) -> Trace:
    """An empty trace that says who, when and with what."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        with suppress(ModuleNotFoundError):  # sprig itself, where it runs from its folder without being installed
            versions[library] = version(library)
    versions["snippets library"] = str(LIBRARY_VERSION)
    return Trace(
        Run(
            id="/".join(directory.parts[-2:]),
            command=command_as_typed(),
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            seed=seed,
            device=device,
            git=_git_revision(),
            versions=versions,
        )
    )


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Keep other processes from training in directory meanwhile; Occupied if one does. A kill leaves no claim."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Occupied(f"{directory} is being trained in by another process: end it first.") from error
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def command_as_typed() -> str:
    """The command line that started the run; sys.argv is what Hydra was handed."""
    return os.environ.get(COMMAND) or shlex.join(["python", *sys.orig_argv[1:]])


def point_latest(output_dir: Path, directory: Path) -> None:
    """Make output_dir/latest a link to directory; without links on this file system there is none."""
    beside = output_dir / ".latest.part"  # one name for all: what a killed process leaves, the next one takes up
    with suppress(OSError):
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(directory, output_dir), target_is_directory=True)
        beside.replace(output_dir / "latest")


def keep_settings(directory: Path, plain: dict[str, Any]) -> None:
    """Write the settings with which a run goes on into its .hydra, as Hydra does for a new run.

    data.batch_size is a number there, where it was auto. A run that no command line started has no .hydra.
    """
    if not (directory / ".hydra").is_dir():
        return
    given = [override for override in HydraConfig.get().overrides.task if not override.startswith("data.batch_size=")]
    overrides = [*given, f"data.batch_size={plain['data']['batch_size']}"]
    for name, content in (("config.yaml", plain), ("overrides.yaml", overrides)):
        beside = directory / ".hydra" / f"{name}.part"
        beside.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        beside.replace(directory / ".hydra" / name)


def _git_revision() -> str | None:
    """The commit of Sprig's own code, with a + where it has changes; None outside a repository."""
    here = Path(__file__).parent
    try:
        described = subprocess.run(  # a fixed command
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--match="],  # noqa: S607  # git as the user has it
            cwd=here, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
