"""Rows of a table -> Documents: which columns mean what, and which files a table is in.

Where it stands: below the sources `jsonl`, `parquet` and `hub`, which differ in how rows are read and in nothing else.
One row is one whole file of code. Its text is normalised as that of a file is (`sprig.data.reading.decode`).
"""

import glob
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.languages import EXTENSIONS, language_of
from sprig.data.reading import Unfit, decode


@dataclass
class TableConfig(DataConfig):
    """Columns of a table by what they mean; null: there is none."""

    text_column: str = "content"
    """The code itself."""
    path_column: str | None = None
    """Where the code comes from; null names each document by its file and line."""
    group_column: str | None = None
    """Rows of one group never stand on both sides of the split: the repository's name, say. null: rows of one path."""
    license_column: str | None = None
    """An SPDX expression, as it stands."""
    language_column: str | None = None
    """The language's name; null goes by the ending of the path."""


def columns(config: TableConfig) -> list[str]:
    """The columns that are read, each once; ValueError where the column of the text has no name."""
    if not config.text_column:
        raise ValueError("data.text_column needs the name of the column that the code is in.")
    others = (config.path_column, config.group_column, config.license_column, config.language_column)
    return list(dict.fromkeys(name for name in (config.text_column, *others) if name))


def check_columns(config: TableConfig, present: Collection[str], where: str) -> None:
    """Raise ValueError, naming the nearest that there is, for a column that is not among those present in where."""
    for name in columns(config):
        if name not in present:
            raise ValueError(f"{where} has no column {name!r}{nearest(name, present)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about a name that is not among names."""
    found = get_close_matches(name, list(names), n=1, cutoff=0.0)
    return f"; did you mean {found[0]!r}?" if found else "."


def document(row: Mapping[str, str | bytes | None], place: str, config: TableConfig) -> Document:
    """Make a document of a row, or raise Unfit with the reason for leaving it out.

    place ("a.jsonl:12") is the document's path where the row has none, and its group where it has neither.
    """

    def word(column: str | None) -> str:
        value = row.get(column) if column else None
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""

    text = row.get(config.text_column)
    if text is None:
        raise Unfit("row without text")
    words = [word(name) for name in (config.path_column, config.group_column, config.license_column)]
    language = word(config.language_column).strip().lower()
    try:
        for value in words:
            value.encode()
        data = text if isinstance(text, bytes) else text.encode()
    except UnicodeEncodeError:
        raise Unfit("lone surrogates") from None
    code = decode(data, python=False)  # what a coding cookie says was true of the file that the row was made from
    if not code.strip():
        raise Unfit("empty file")
    path = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[0].strip()) or place
    return Document(
        text=code,
        path=path,
        group=words[1] or path,
        language=_language(language) if language else language_of(path),
        license=words[2].strip(),
    )


def _language(name: str) -> str:
    """A language of our table by its own name or by a file name ending ("py"), in lower case; "" for none of them."""
    return name if name in EXTENSIONS else language_of(f"x.{name}")


def files_at(path: str, endings: tuple[str, ...], skips: Skips) -> list[tuple[Path, str]]:
    """The regular files that data.path means, in order, each with its name in messages; ValueError where there is none.

    path is one file of any ending, or a folder or a glob of files with one of these endings. Links are followed to
    what path itself names, and nowhere else; hidden folders are left out.
    """
    given = os.path.expanduser(path)  # noqa: PTH111  (Path.expanduser raises for an unknown user)
    if not path:
        raise ValueError(f"data.path needs a file, a folder or a glob of {', '.join(endings)}.")
    try:
        root = Path(given).resolve()
        mode = root.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL
        names = glob.glob(given, recursive=True) if glob.has_magic(given) else []  # noqa: PTH207
        if not names:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"data.path={path}: there is nothing to read ({reason})") from None
        found = ((Path(name), name) for name in names if not Path(name).is_dir())
    else:
        if not stat.S_ISDIR(mode):
            if not stat.S_ISREG(mode):
                raise ValueError(f"data.path={path}: it is neither a folder nor a regular file")
            return [(root, root.name)]
        found = ((file, file.relative_to(root).as_posix()) for file in _below(root, skips))
    files = sorted((file, name) for file, name in found if _wanted(file, name, endings, skips))
    if not files:
        links = skips.counts["link"]
        reason = f" ({links} left out, since they are links)" if links else ""
        raise ValueError(f"data.path={path}: there is no {' or '.join(endings)} file in it{reason}")
    return files


def _below(root: Path, skips: Skips) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skips.add(str(Unfit.because(error)), os.fsdecode(error.filename))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        for name in [name for name in folders if fnmatchcase(name, ".*")]:
            skips.add("hidden, vendored or generated folder", name)
            folders.remove(name)
        yield from (Path(folder, name) for name in names)


def _wanted(file: Path, name: str, endings: tuple[str, ...], skips: Skips) -> bool:
    try:
        name.encode()
        mode = file.lstat().st_mode
        if not name.lower().endswith(endings):
            raise Unfit("other file type")
        if not stat.S_ISREG(mode):
            raise Unfit("link" if stat.S_ISLNK(mode) else "not a regular file")
    except UnicodeEncodeError:
        skips.add("file name not UTF-8", os.fsencode(name).decode("utf-8", "backslashreplace"))
    except OSError as error:
        skips.add(str(Unfit.because(error)), name)
    except Unfit as reason:
        skips.add(str(reason), name)
    else:
        return True
    return False


def open_regular(file: Path) -> BinaryIO:
    """Open a file for reading in bytes; Unfit where it is none by now. Never waits for a pipe, follows no link."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unfit.because(error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unfit("not a regular file")
    return os.fdopen(descriptor, "rb")


def state_of(files: Iterable[Path]) -> Iterator[str]:
    """A line for each file that differs once the file was written anew."""
    for file in files:
        status = file.stat()
        yield f"{file} {status.st_size} {status.st_mtime_ns}"
