"""Prepared data on disk, under a name that says everything that shaped it: made once, whole or not at all.

Two processes that prepare the same data do not disturb each other: each works in a folder of its own, and the first to
be done gives it its name. What a process that was killed has left behind is removed by the next one.
"""

import errno
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from sprig.data.config import DataConfig

_NO_SHAPE = ("seq_len", "layout", "batch_size", "document_mask")  # settings of rows, which are made anew each time
_MANIFEST = "manifest.json"


def name_of(config: DataConfig, state: Iterable[str]) -> str:
    """The name of the data that config describes while its source is in this state (paths, sizes, times, revisions)."""
    settings = {name: value for name, value in asdict(config).items() if name not in _NO_SHAPE}
    settings["fim_rate"] = config.fim_rate > 0  # whether there are tokens for it
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    for library in ("tokenizers", "rensa"):
        digest.update(version(library).encode())
    for line in state:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return f"{config.source}-{digest.hexdigest()[:20]}"


def entry(cache: Path, name: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of that name, and whether it was there; if not, make writes its content into a new one.

    ValueError, in two lines, where the disk is full.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    if _whole(folder):
        return folder, True
    _remove_abandoned(cache)
    shutil.rmtree(folder, ignore_errors=True)  # damaged
    work = Path(tempfile.mkdtemp(prefix=f".{socket.gethostname()}-{os.getpid()}-", dir=cache))
    try:
        make(work)
        sizes = {path.name: path.stat().st_size for path in work.iterdir()}
        (work / _MANIFEST).write_text(json.dumps(sizes), encoding="utf-8")
        with suppress(OSError):  # another process was first: what it has made is the same
            work.rename(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ValueError(
            f"There is no space left in {cache} for the prepared data.\n"
            f"Free some there (what is in it can be made again), or name another place: cache_dir=..."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder, False


def _whole(folder: Path) -> bool:
    """Whether every file is there as it was written."""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _remove_abandoned(cache: Path) -> None:
    """Remove the working folders of this machine's processes that are no more."""
    for work in cache.glob(f".{socket.gethostname()}-*-*"):
        process = int(work.name.rsplit("-", 2)[1])
        if not Path(f"/proc/{process}").exists() and Path("/proc").is_dir():
            shutil.rmtree(work, ignore_errors=True)
