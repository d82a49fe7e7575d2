"""Prepared data on disk, under a name that says everything that shaped it: made once, whole or not at all.

Two processes that prepare the same data do not disturb each other: each works in a folder of its own, and the first to
be done gives it its name. What a process that was killed has left behind is removed by the next one.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from secrets import token_hex

from sprig.data.config import ROW_SETTINGS, DataConfig
from sprig.data.reading import Unfit, descriptor_of, read_bytes
from sprig.trace.records import Funnel

_MANIFEST = "manifest.json"
_WORKING = ".making-"  # how the names of folders begin that are not done
_READ_IN_NO_TIME = 4 << 20  # bytes


def name_of(config: DataConfig, state: Iterable[str], tokenizer: str | None = None) -> str:
    """The name of the data that config describes while its source is in this state (paths, sizes, times, revisions).

    tokenizer is the fingerprint of one that is given; None: it is learnt from the data.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in ROW_SETTINGS}
    settings["filters"] = list(config.filters.items())  # their order decides which of them a file is counted under
    settings["fim_rate"] = config.fim_rate > 0  # whether there are tokens for it
    settings["tokenizer"] = tokenizer
    if tokenizer is not None:
        settings["vocab_size"] = None  # has no say
    settings["funnel"] = {field.name: str(field.type) for field in fields(Funnel)}  # which is kept as well
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    # What Python it is decides which files parse.
    for version_of in (python_version(), version("tokenizers"), version("rensa")):
        digest.update(version_of.encode() + b"\n")
    for line in state:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return f"{config.source}-{digest.hexdigest()[:20]}"


def entry(cache: Path, name: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of that name, and whether it was there; if not, make writes its content into a new one.

    ValueError, in two lines, where the disk is full or nothing can be written.
    """
    folder = cache / name
    if is_whole(folder):
        return folder, True
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache)
        # Damaged; it may also just have come, from another process.
        if os.path.lexists(folder) and not is_whole(folder):
            _remove(folder)
        with _working_folder(cache) as work:
            make(work)
            seals = {path.name: seal(path) for path in work.iterdir()}
            (work / _MANIFEST).write_text(json.dumps(seals), encoding="utf-8")
            with suppress(OSError):  # another process was first: what it has made is the same
                work.rename(folder)
        if not is_whole(folder):
            raise ValueError(f"{folder} changes while it is used: name another place, cache_dir=...")
    except OSError as error:
        # numpy says in words that a file could not be written in full, and leaves the number out.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and "written" in str(error))
        if full:
            raise ValueError(
                f"There is no space left in {cache} for the prepared data.\n"
                f"Free some there (what is in it can be made again), or name another place: cache_dir=..."
            ) from error
        ours = Path(str(error.filename or "")).is_relative_to(cache)  # and not a file of the source's
        if ours and isinstance(error, PermissionError | FileExistsError | NotADirectoryError):
            raise ValueError(f"cache_dir={cache} cannot be written to ({error.strerror}): name another.") from error
        raise
    return folder, False


def seal(path: Path) -> list[int | str]:
    """What a regular file is known by: its size, and the digest of one that is read in no time; Unfit for others."""
    with os.fdopen(descriptor_of(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return [size, hashlib.sha256(file.read(_READ_IN_NO_TIME)).hexdigest() if size < _READ_IN_NO_TIME else ""]


def is_whole(folder: Path, needed: Iterable[str] = ()) -> bool:
    """Whether every file is there that was, those needed among them, as it was written as far as `seal` knows.

    A stranger may have made it: nothing is opened but regular files in it.
    """
    try:
        seals = json.loads(read_bytes(folder / _MANIFEST, _READ_IN_NO_TIME))
        return (
            bool(seals)
            and seals.keys() >= set(needed)
            and all(name == Path(name).name and seal(folder / name) == known for name, known in seals.items())
        )
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, Unfit):  # whatever stands in its place
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# A working folder is locked by the process that works in it, and the system takes the lock away from one that is no
# more: unlike a process's number, a lock is seen from any container. Where a file system knows no locks, nobody gets
# one, and nothing is removed.


@contextmanager
def _working_folder(cache: Path) -> Iterator[Path]:
    """A new folder, locked while it is worked in; removed in the end, where it has not been given another name."""
    work = cache / f"{_WORKING}{token_hex(8)}"
    with ExitStack() as in_the_end:  # set up before there is a folder: an interrupt may come at any time
        in_the_end.callback(shutil.rmtree, work, ignore_errors=True)
        while not work.exists():  # any longer: another process, before it was locked, took it for one that was left
            work.mkdir(mode=0o700)
            with suppress(FileNotFoundError):
                descriptor = _opened(work)
                in_the_end.callback(os.close, descriptor)
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield work


def _remove_abandoned(cache: Path) -> None:
    """Remove the working folders of processes that are no more."""
    for work in cache.glob(f"{_WORKING}*"):
        with suppress(OSError):  # gone meanwhile, or locked
            descriptor = _opened(work)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(work, ignore_errors=True)
            finally:
                os.close(descriptor)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
