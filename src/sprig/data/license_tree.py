"""The licence files of a folder on disk: their texts, and what tells when a file's licence may have become another.

Where it stands: beside the source `folder`. Which text is which licence, `sprig.data.cleaning.license_files` knows.
"""

import posixpath
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from sprig.data.cleaning.license_files import LicenseFiles, is_license_file
from sprig.data.reading import Unfit, read_source

_MAX_BYTES = 1_000_000


def licenses_in(root: Path) -> LicenseFiles:
    """The licences that the files below root stand under; links are read where they lead to a file below it."""
    return LicenseFiles(lambda folder: _texts(root / folder, root))


def names_in(folder: Path) -> list[str]:
    """The names of a folder's licence files; none where it may not be listed, and its licence is unknown as well."""
    with suppress(OSError):
        return sorted(path.name for path in folder.iterdir() if is_license_file(path.name))
    return []


def links_in(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """A line for each link that gives files at these paths a licence, which differs once it leads to another text."""
    folders = {""}
    for path in paths:
        while (path := posixpath.dirname(path)) not in folders:
            folders.add(path)
    for folder in sorted(folders):
        for name in names_in(root / folder):
            link = root / folder / name
            with suppress(OSError):  # it leads nowhere, or has vanished
                if link.is_symlink():
                    status = link.stat()
                    yield f"{link} {link.readlink()} {status.st_size} {status.st_mtime_ns}"


def _texts(folder: Path, root: Path) -> list[str | None]:
    """None for a file that cannot be read."""
    try:
        files = [path for path in folder.iterdir() if is_license_file(path.name) and not path.is_dir()]
        return [_text(path.resolve(), root) for path in sorted(files)]
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return [None]


def _text(path: Path, root: Path) -> str | None:
    try:
        return read_source(path, _MAX_BYTES) if path.is_relative_to(root) else None
    except Unfit:
        return None
