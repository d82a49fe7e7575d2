"""A checkpoint directory as mere files: JSON within bounds, the manifest, replacing the whole.

It knows nothing of what the files mean.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

MANIFEST = "manifest.json"
JSON_LIMIT = 10_000_000
"""Bytes of a JSON file, the tokenizer's apart; a parsed file can take 30 times as much memory."""


def to_json(value: Mapping[str, Any]) -> str:
    """The text of a JSON file; ValueError unless reading it gives back an equal value."""
    try:
        text = json.dumps(value, indent=2, allow_nan=False) + "\n"
        same = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The facts of a checkpoint must be plain JSON: {error}.") from error
    if not same:
        raise ValueError("The facts of a checkpoint must be plain JSON: a tuple or a key that is no string is not.")
    if len(text) > JSON_LIMIT:
        raise ValueError(
            f"The facts of a checkpoint take {len(text):,} bytes: more than {JSON_LIMIT:,} is not read back."
        )
    return text


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """Read a JSON object of at most limit bytes; ValueError for anything else."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path} is over {limit:,} bytes: no checkpoint needs that.")
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(value).__name__}.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def member(directory: Path, name: str, listed_in: str = MANIFEST) -> Path:
    """The regular file of this name directly in directory; ValueError if it is missing or leads out of it.

    A snapshot of Hugging Face's cache is made of links into the blobs of the same repository: those are its files.
    """
    path = directory / name
    if path.name != name or name == "..":
        raise ValueError(f"{directory / listed_in} lists {name!r:.200}: it may only list files beside itself.")
    if not path.is_file():
        raise ValueError(f"{directory} has no file {name!r:.200}: the checkpoint is not whole.")
    homes = [directory.resolve()]
    if homes[0].parent.name == "snapshots":
        homes.append(homes[0].parents[1] / "blobs")
    if path.resolve().parent not in homes:
        raise ValueError(f"{path} is a link that leads out of the checkpoint directory: copy the file instead.")
    return path


def write_manifest(directory: Path) -> None:
    """List size and SHA-256 of every file in directory: by them `load` tells whether it is still the same."""
    names = sorted(path.name for path in directory.iterdir() if path.is_file() and path.name != MANIFEST)
    listed = {name: _fingerprint(member(directory, name)) for name in names}
    (directory / MANIFEST).write_text(to_json({"schema": 1, "files": listed}), encoding="utf-8")


def check_manifest(directory: Path, needed: Iterable[str]) -> None:
    """Raise ValueError unless every file listed is as it was and every file needed is listed."""
    if not (directory / MANIFEST).exists():
        raise ValueError(
            f"{directory} has no {MANIFEST}: nothing tells whether its files are as they were saved.\n"
            "For a model that you trust, sprig.checkpoint.write_manifest(directory) makes one."
        )
    path = member(directory, MANIFEST)
    listed = read_json(path, JSON_LIMIT).get("files")
    if not isinstance(listed, dict):
        raise ValueError(f"{path} is no manifest: it lists no files.")
    for name in needed:
        if name not in listed:
            raise ValueError(f"{path} does not list {name}: it was made for other files.")
    for name, fingerprint in listed.items():
        if fingerprint != _fingerprint(member(directory, name)):
            raise ValueError(f"{directory / name} is not the file that {MANIFEST} lists: it was altered or cut short.")


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "size": path.stat().st_size}


def check_replaceable(directory: Path) -> None:
    """Raise ValueError where something else than a checkpoint has the name: it might be a user's folder."""
    if directory.is_symlink() or (directory.exists() and not (directory / MANIFEST).is_file()):
        raise ValueError(f"{directory} exists and is no checkpoint directory: it is not replaced. Move it away.")


@contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """Give an empty directory to write into, and put it in the place of directory if the block ends well.

    Its files are on the disk before it gets the name. A checkpoint that has the name is moved aside first and
    removed last; a kill in the instant between the two renames leaves both, whole, under names with a dot.
    ValueError for anything else that has the name: it might be a user's folder.
    """
    check_replaceable(directory)
    part = directory.with_name(f".{directory.name}.part-{os.getpid()}")
    old = directory.with_name(f".{directory.name}.old-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)  # a killed process may have had our number: in a container it often has
    part.mkdir(parents=True)
    try:
        yield part
        for path in (*part.iterdir(), part):
            _sync(path)
        _rename(part, directory, old)
        _sync(directory.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove(directory: Path) -> None:
    """Remove a checkpoint directory: a kill amid it leaves nothing under its name."""
    leaving = directory.with_name(f".{directory.name}.part-{os.getpid()}")
    shutil.rmtree(leaving, ignore_errors=True)
    directory.rename(leaving)
    shutil.rmtree(leaving, ignore_errors=True)


def tidy(directory: Path) -> None:
    """Remove what processes that were killed while saving have left in directory, where none saves now.

    A checkpoint that was moved aside, and whose successor did not come to its name, gets the name back.
    """
    for old in directory.glob(".*.old-*"):
        whole = directory / old.name[1:].rpartition(".old-")[0]
        if whole.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(whole)
    for part in directory.glob(".*.part-*"):
        shutil.rmtree(part, ignore_errors=True)


def _rename(part: Path, directory: Path, old: Path) -> None:
    if directory.exists():
        shutil.rmtree(old, ignore_errors=True)
        directory.rename(old)
    try:
        part.rename(directory)
    except BaseException:
        if old.exists():
            old.rename(directory)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
