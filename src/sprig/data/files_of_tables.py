"""Which files a table is in: what a path, a folder or a glob means, links and pipes left alone.

Where it stands: below the sources `jsonl`, `parquet` and `hub`, beside `sprig.data.rows_of_tables`.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import BinaryIO

from sprig.data.documents import Skips
from sprig.data.reading import Unfit, descriptor_of, shown, why


def files_at(path: str, endings: tuple[str, ...], skips: Skips) -> list[tuple[Path, str]]:
    """The regular files that data.path means, in order, each with its name in messages; ValueError where there is none.

    path is one file of any ending, or a folder or a glob of files with one of these endings; ** in a glob stands for
    folders at any depth. Links are followed to what path itself names, in a glob up to its first wildcard, and else
    only where they are files of a snapshot (`behind`); hidden folders are left out.
    """
    if not path:
        raise ValueError(f"data.path needs a file, a folder or a glob of {', '.join(endings)}.")
    if "\0" in path:
        raise ValueError(f"data.path={shown(path)}: there is nothing to read (a path has no NUL)")
    given = os.path.expanduser(path)  # noqa: PTH111  (Path.expanduser raises for an unknown user)
    try:
        root = Path(given).resolve()
        mode = root.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a lone surrogate
        links = skips.counts["link"]
        matching = list(_matching(Path(given).parts, skips)) if has_magic(given) else []
        if not matching and skips.counts["link"] == links:
            raise ValueError(f"data.path={shown(path)}: there is nothing to read ({why(error)})") from None
        found = ((file, str(file)) for file in matching)
    else:
        if not stat.S_ISDIR(mode):
            if not stat.S_ISREG(mode):
                raise ValueError(f"data.path={shown(path)}: it is neither a folder nor a regular file")
            return [(root, root.name if behind(Path(given)) == Path(given) else Path(given).name)]
        found = ((file, file.relative_to(root).as_posix()) for file in files_below(root, skips))
    files = sorted((file, name) for file, name in found if is_regular(file, name, skips, endings))
    if not files:
        links = skips.counts["link"]
        reason = f" ({links} left out, since they are links)" if links else ""
        raise ValueError(f"data.path={shown(path)}: there is no {' or '.join(endings)} file in it{reason}")
    return files


def files_below(root: Path, skips: Skips) -> Iterator[Path]:
    """All below root that is no folder, but what is in hidden folders; a link to a folder is not entered but counted.

    Links to files come too: whoever opens files looks at what they are.
    """

    def unreadable(error: OSError) -> None:
        skips.add(str(Unfit.because(error)), os.fsdecode(error.filename))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        for name in list(folders):
            if fnmatchcase(name, ".*"):
                skips.add("hidden folder", name)
                folders.remove(name)
            elif Path(folder, name).is_symlink():  # os.walk names it, and does not enter it
                skips.add("link", str(Path(folder, name).relative_to(root)))
        yield from (Path(folder, name) for name in names)


def _matching(parts: Sequence[str], skips: Skips) -> Iterator[Path]:
    """What a glob means, cut into parts, but for folders: as the module glob reads it, with no link followed."""
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    pattern = parts[first:]
    pending = [(Path(*parts[:first]), _or_further({0}, pattern))]
    while pending:
        folder, places = pending.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = list(scanned)
        except OSError as error:
            skips.add(str(Unfit.because(error)), str(folder))
            continue
        except ValueError:  # a lone surrogate that stands for no byte
            continue
        for entry in entries:
            # Places in the pattern, all at once: what one name may match is not tried again for each way to get there.
            after = _or_further(
                {
                    place if pattern[place] == "**" else place + 1
                    for place in places
                    if place < len(pattern) and _means(pattern[place], entry.name)
                },
                pattern,
            )
            path = folder / entry.name
            if entry.is_symlink() and after and path.is_dir():
                skips.add("link", str(path))
            elif entry.is_dir(follow_symlinks=False):
                if after - {len(pattern)}:
                    pending.append((path, after))
            elif len(pattern) in after:
                yield path


def _means(part: str, name: str) -> bool:
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))


def _or_further(places: set[int], pattern: Sequence[str]) -> set[int]:
    """These places in a pattern, and those behind any ** at them, which may stand for no folder at all."""
    for place in sorted(places):
        while place < len(pattern) and pattern[place] == "**":
            place += 1
            places.add(place)
    return places


def is_regular(file: Path, name: str, skips: Skips, endings: tuple[str, ...] = ("",)) -> bool:
    """Whether a file is a regular one with one of these endings; what it is instead is counted."""
    try:
        name.encode()
        mode = behind(file).lstat().st_mode
        if not name.lower().endswith(endings):
            raise Unfit("other file type")
        if not stat.S_ISREG(mode):
            raise Unfit("link" if stat.S_ISLNK(mode) else "not a regular file")
    except UnicodeEncodeError:
        skips.add("file name not UTF-8", name)
    except OSError as error:
        skips.add(str(Unfit.because(error)), name)
    except Unfit as reason:
        skips.add(str(reason), name)
    else:
        return True
    return False


def behind(file: Path) -> Path:
    """The file itself, but for a link in a snapshot of the Hugging Face cache: of that, the blob that it stands for.

    The cache keeps a file's content once, in datasets--x--y/blobs, and of each version of the dataset a folder of links
    to it (https://huggingface.co/docs/huggingface_hub/guides/manage-cache). What leads anywhere else is a link still.
    """
    try:
        if not file.is_symlink():
            return file
        target = file.resolve(strict=True)
        store = target.parent.parent
        kept = store.name.startswith("datasets--") and target.parent.name == "blobs" and target.is_file()
        return target if kept and store / "snapshots" in file.parent.resolve().parents else file
    except (OSError, RuntimeError):  # a loop of links, or what vanished
        return file


def open_regular(file: Path) -> BinaryIO:
    """Open a file, or what is `behind` it, for reading bytes; Unfit where it is none by now. Never waits for a pipe."""
    try:
        return os.fdopen(descriptor_of(behind(file)), "rb")
    except OSError as error:
        raise Unfit.because(error) from None


def state_of(files: Iterable[Path]) -> Iterator[str]:
    """A line for each file that differs once the file was written anew, or is gone."""
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue  # it vanished since it was found
        yield f"{file} {status.st_mode} {status.st_size} {status.st_mtime_ns}"
