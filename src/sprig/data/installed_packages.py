"""What an installer has left of a package: its metadata and the record of its files (PEP 376), read as strangers' are.

Where it stands: beside the source `packages`, which chooses among them and reads the files that they name.
"""

import csv
import json
import os
import posixpath
import re
import stat
from email.message import Message
from functools import cached_property
from importlib.metadata import Distribution
from pathlib import Path
from typing import cast

from sprig.data.reading import Unfit, read_bytes

# Of each file that the installer has left: larger ones are no records. The largest packages there are have some 50,000
# files.
_MAX_BYTES, _MAX_LINES = 20_000_000, 200_000


class Installed(Distribution):
    """A package whose records are read as strangers' files are: regular ones of UTF-8 and of some size, or Unfit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """That of the installer's records."""
        self._texts: dict[str, str | None] = {}

    def read_text(self, filename: str) -> str | None:
        """The text of a record, None where there is none; "" stands for the folder itself, which was once a file."""
        if filename in ("RECORD", "installed-files.txt", "SOURCES.txt", "direct_url.json"):
            return self._read(self.folder / filename)
        if filename not in self._texts:  # what was good once does not become damaged
            self._texts[filename] = self._read(self.folder / filename)
        return self._texts[filename]

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Where a file of the record is."""
        return self.folder.parent / path

    def record(self) -> list[str] | None:
        """Paths of the files that were installed, None where none were recorded; Unfit, csv.Error, ValueError.

        Distribution.files leaves out those that are gone from Python 3.12 on, uncounted.
        """
        if record := self.read_text("RECORD"):
            return [_path(row) for row in csv.reader(record.splitlines()) if row]
        if installed := self.read_text("installed-files.txt"):  # of a time before RECORD, from the folder of records on
            return [posixpath.join(self.folder.name, path) for path in installed.splitlines()]
        sources = self.read_text("SOURCES.txt")
        return sources.splitlines() if sources else None

    @cached_property
    def fields(self) -> Message:
        """Its metadata; get() is None for a field that is not there, where [] warns that it will raise KeyError."""
        return cast(Message, self.metadata)

    @cached_property
    def identity(self) -> tuple[str, str, str]:
        """Its normalised name, its version and its folder: what orders packages, whatever the order on disk.

        Of one that was removed by half there is no name.
        """
        name, version = (str(self.fields.get(field, "")) for field in ("Name", "Version"))
        return normalised(name), version, str(self.folder)

    @property
    def editable(self) -> bool:
        """Whether only a pointer to the package is installed (PEP 610); TypeError for what tells nothing."""
        origin = json.loads(self.read_text("direct_url.json") or "{}")
        folder = origin.get("dir_info") or {} if isinstance(origin, dict) else None
        if not isinstance(folder, dict):
            raise TypeError("no object of JSON where there must be one")
        return bool(folder.get("editable"))

    def _read(self, path: Path) -> str | None:
        try:
            if stat.S_ISDIR(path.stat().st_mode):
                return None
        except (FileNotFoundError, NotADirectoryError):  # links to nothing included: there is no record
            return None
        except OSError:
            raise Unfit("unreadable") from None
        data = read_bytes(path, _MAX_BYTES)
        if data.count(b"\n") + data.count(b"\r") > 2 * _MAX_LINES:
            raise Unfit(f"file over {_MAX_LINES:,} lines")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Unfit("not UTF-8") from None


def _path(row: list[str]) -> str:
    """The path of a row of a record: path, digest, size. ValueError where it is something else."""
    path, *others = row
    if len(others) > 2 or not all(map(str.isdecimal, filter(None, others[1:]))):
        raise ValueError("no row of a record")
    return path


def normalised(name: str) -> str:
    """One spelling for all that mean the same package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
