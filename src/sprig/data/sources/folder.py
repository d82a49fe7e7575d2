"""The source `folder`: the source files below a folder, or the Python functions in them.

Where it stands: the first step of the way data takes. It finds files, `sprig.data.reading` reads them,
`sprig.data.functions` takes them apart. De-duplication, limit and split come later, the same for
all sources.
"""

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.functions import functions_of
from sprig.data.reading import Unfit, read_source

_PRUNED = (".*", "__pycache__", "node_modules", "venv", "site-packages")


@dataclass
class Config(DataConfig):
    """Code of the user's own."""

    source: str = "folder"
    path: str = ""
    """A folder, whose files are read at any depth, or one file; ~ is the home folder."""
    unit: str = "file"
    """What a document is: file, or function (Python's, methods included)."""
    patterns: list[str] = field(default_factory=lambda: ["*.py"])
    """Files to read, by name or by path below the folder, where * matches / too: ['*.js','src/*.ts']."""
    max_file_bytes: int = 1_000_000
    """Larger files are skipped: they are data or generated."""
    max_line_length: int = 1000
    """Files with a longer line, in characters, are skipped: they are minified or generated."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the documents below config.path, ordered by path; ValueError where there is no file."""
    return documents_below(config, _PRUNED, skips)


def documents_below(config: Config, pruned: Sequence[str], skips: Skips) -> Iterator[Document]:
    """Do the work of `documents`, leaving out the folders whose name matches one of pruned."""
    if config.unit not in ("file", "function"):
        raise ValueError(f"data.unit={config.unit}: a document is a file or a function")
    root = _existing(config.path)
    texts = _texts(root, config, pruned, skips)
    if config.unit == "file":
        return (Document(text, path, group=path) for path, text in texts)
    return _functions(texts, skips)


def _functions(texts: Iterator[tuple[str, str]], skips: Skips) -> Iterator[Document]:
    with closing(functions_of(texts, skips)) as parsed:  # its processes end with this generator
        for path, functions in parsed:
            if not functions:
                skips.add("file without functions", path)
            for function in functions:
                yield Document(function.text, f"{path}:{function.name}", group=path, header=function.header)


def _existing(path: str) -> Path:
    if not path:
        raise ValueError("data=folder needs the folder to read: data.path=~/code")
    try:
        root = Path(path).expanduser().resolve(strict=True)
        mode = root.stat().st_mode
        if stat.S_ISDIR(mode):
            next(root.iterdir(), None)
    except FileNotFoundError:
        raise ValueError(f"data.path={path}: there is no such folder") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, or ~ of an unknown user
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"data.path={path}: it cannot be read ({reason})") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise ValueError(f"data.path={path}: it is neither a folder nor a regular file")
    return root


def _texts(root: Path, config: Config, pruned: Sequence[str], skips: Skips) -> Iterator[tuple[str, str]]:
    """Yield (relative path, text) of the files to read; a root that is a file need not match a pattern."""
    named = root.is_file()
    folder, start = (root.parent, root.name) if named else (root, "")
    skipped_before, found = skips.counts.total(), False
    for path in _walk(folder, start, pruned, skips):
        found = True
        if not named and not any(_matches(path, pattern) for pattern in config.patterns):
            skips.add("other file type", path)
            continue
        try:
            text = read_source(folder / path, config.max_file_bytes, config.max_line_length)
        except Unfit as reason:
            skips.add(str(reason), path)
            continue
        yield path, text
    if not found and skips.counts.total() == skipped_before:
        raise ValueError(f"data.path={config.path}: there is no file in it")


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(posixpath.basename(path), pattern)


def _walk(folder: Path, start: str, pruned: Sequence[str], skips: Skips) -> Iterator[str]:
    """Yield the regular files at start and below as paths relative to folder, ordered as Path orders them.

    Opens nothing but folders and follows no link: what is no regular file goes to skips.
    """
    pending = [start]
    while pending:
        path = pending.pop()
        try:
            path.encode()
            mode = (folder / path).lstat().st_mode
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                raise Unfit(_link(folder / path, folder) if stat.S_ISLNK(mode) else "not a regular file")
            elif any(fnmatchcase(posixpath.basename(path), pattern) for pattern in pruned):
                raise Unfit("hidden, vendored or generated folder")
            else:
                names = sorted((child.name for child in (folder / path).iterdir()), reverse=True)
                pending.extend(posixpath.join(path, name) for name in names)
        except UnicodeEncodeError:  # the bytes of the name that are not UTF-8 came as lone surrogates
            printable = os.fsencode(path).decode("utf-8", "backslashreplace")
            skips.add("file name not UTF-8", printable)
        except OSError as error:
            skips.add(str(Unfit.because(error)), path)
        except Unfit as reason:
            skips.add(str(reason), path)


def _link(path: Path, folder: Path) -> str:
    """Say why a link is left out: what it leads to is not ours, or is read where it really stands."""
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return "broken link"
    except PermissionError:
        return "unreadable"
    except (RuntimeError, OSError):  # the latter from Python 3.13 on
        return "link loop"
    if not target.is_relative_to(folder):
        return "link out of the folder"
    return "link to a folder inside" if target.is_dir() else "link to a file inside"
