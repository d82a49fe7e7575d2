"""Rows of a table -> Documents: which columns mean what, and which files a table is in.

Where it stands: below the sources `jsonl`, `parquet` and `hub`, which differ in how rows are read and in nothing else.
One row is one whole file of code. Its text is normalised as that of a file is (`sprig.data.reading.decode`).
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from sprig.data.cleaning.licenses import of_statement
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.languages import EXTENSIONS, language_of
from sprig.data.reading import Unfit, decode, descriptor_of, shown, why

_MAX_NAMES, _MAX_LETTERS = 1000, 80  # of what strangers call their columns, looked at for a nearest one


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
    """An SPDX expression, or the usual name or the text of a licence; where it is none of these, none is known."""
    language_column: str | None = None
    """The language's name; null goes by the ending of the path."""
    max_text_bytes: int = 10_000_000
    """Rows with a longer text in one of these columns are skipped."""


def columns(config: TableConfig) -> list[str]:
    """The columns that are read, each once; ValueError where the column of the text has no name, or no text fits."""
    if not config.text_column:
        raise ValueError("data.text_column needs the name of the column that the code is in.")
    if config.max_text_bytes < 1:
        raise ValueError("data.max_text_bytes must be at least 1.")
    others = (config.path_column, config.group_column, config.license_column, config.language_column)
    return list(dict.fromkeys(name for name in (config.text_column, *others) if name))


def check_columns(config: TableConfig, present: Collection[str], where: str) -> None:
    """Raise ValueError, naming the nearest that there is, for a column that is not among those present in where."""
    for name in columns(config):
        if name not in present:
            raise ValueError(f"{where} has no column {name!r}{nearest(name, present)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about a name that is not among names."""
    short = ("".join(filter(str.isprintable, name[:_MAX_LETTERS])) for name in islice(names, _MAX_NAMES))
    found = get_close_matches(name, list(short), n=1, cutoff=0.0)
    return f"; did you mean {found[0]!r}?" if found else "."


def too_long(config: TableConfig) -> str:
    """The reason for leaving out a row with a text that is longer than it may be."""
    return f"text over {config.max_text_bytes:,} bytes"


def documents(rows: Iterable[tuple[str, Mapping[str, Any]]], config: TableConfig, skips: Skips) -> Iterator[Document]:
    """Yield a document for each (place, row); rows that none can be made of go to skips."""
    for place, row in rows:
        try:
            made = document(row, place, config)
        except Unfit as reason:
            skips.add(str(reason), place)
            continue
        yield made


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
    language = word(config.language_column)
    try:
        data = text if isinstance(text, bytes) else text.encode()
        sizes = [len(data), *(len(value.encode()) for value in words), len(language)]
    except UnicodeEncodeError:
        raise Unfit("lone surrogates") from None
    if max(sizes) > config.max_text_bytes:
        raise Unfit(too_long(config))
    code = decode(data, python=False)  # what a coding cookie says was true of the file that the row was made from
    if not code.strip():
        raise Unfit("empty file")
    language = language.strip().lower()
    path = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[0].strip()) or place
    return Document(
        text=code,
        path=path,
        group=words[1] or path,
        language=_language(language) if language else language_of(path),
        license=of_statement(words[2].strip()),
    )


def _language(name: str) -> str:
    """A language of our table by its own name or by a file name ending ("py"), in lower case; "" for none of them."""
    return name if name in EXTENSIONS else language_of(f"x.{name}")


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
                skips.add("hidden, vendored or generated folder", name)
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
        yield f"{file} {status.st_size} {status.st_mtime_ns}"
