"""Malformed inputs among good ones: what makes them, for the table in `test_bad_input`.

A builder makes its input in a folder and returns the source's settings. Good documents stand around what is bad, so
that the run goes on where it should: the files of `FEW`, or the rows of `MANY` where the source is a table.
"""

import errno
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sprig.data.config import DataConfig
from sprig.data.documents import Skips
from sprig.data.preparation import prepare
from sprig.data.sources import folder, git, hub, jsonl, mixture, packages, parquet

Build = Callable[[Path], DataConfig]
Change = Callable[[pytest.MonkeyPatch, Path], None]

MANY = [f"def good_{number}(x):\n    return x + {number}\n" for number in range(150)]
"""One broken row among them is less than one in a hundred."""
FEW = MANY[:4]
SMALL = {"vocab_size": 258, "seq_len": 64, "batch_size": 1}
"""Settings with which so little is enough to be prepared."""
MEGABYTE = 1_000_000


# Files


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def code(
    bad: Mapping[str, str | bytes] | None = None, make: Callable[[Path], object] | None = None, **settings: Any
) -> Build:
    """The good files in a folder, some others, and whatever make puts there."""

    def build(place: Path) -> DataConfig:
        for number, text in enumerate(FEW):
            written(place / "code" / f"good_{number}.py", text)
        for name, content in (bad or {}).items():
            written(place / "code" / name, content)
        if make:
            make(place / "code")
        return folder.Config(path=str(place / "code"), **{**SMALL, **settings})

    return build


def only(make: Callable[[Path], object]) -> Build:
    """A folder's path, and nothing there but what make puts."""

    def build(place: Path) -> DataConfig:
        make(place / "code")
        return folder.Config(path=str(place / "code"), **SMALL)

    return build


def functions(text: str) -> Build:
    """A file that is parsed, since its functions are wanted."""
    return code({"bad.py": text}, unit="function")


def cleaned(text: str) -> Build:
    """A file to which is done what is done to files by default, but that no filter is in the way."""
    return code({"bad.py": text}, syntax=True, redact=True, near_duplicates=0.7)


def secret_outside(root: Path) -> Path:
    return written(root.parent / "outside" / "secret.py", "secret = 1\n")


def link(target: str, name: str = "bad.py") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        secret_outside(root)
        (root / name).symlink_to(target)

    return make


def pipe(name: str) -> Callable[[Path], None]:
    return lambda root: os.mkfifo(root / name)


def device(name: str) -> Callable[[Path], None]:
    """That of /dev/null; a pipe where nobody may make one."""

    def make(root: Path) -> None:
        try:
            os.mknod(root / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            os.mkfifo(root / name)

    return make


def socket_at(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{short}/s")  # a socket's path is limited to some 100 bytes
            Path(f"{short}/s").rename(root / name)

    return make


def sparse(name: str, size: int) -> Callable[[Path], None]:
    """A file that says it has so many bytes and takes none."""

    def make(root: Path) -> None:
        with (root / name).open("wb") as file:
            file.truncate(size)

    return make


def folder_deeper_than_a_path_may_be(root: Path) -> None:
    """4,096 bytes are the most that the system takes for a path, so that the last of these cannot be asked for."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def locked(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).chmod(0)


# While the run goes on


def at_the_first_opening_of(name: str, change: Callable[[Path], object]) -> Change:
    """Change what there is the moment before the file of that name is opened."""

    def arrange(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        really, done = os.open, []

        def opened(path: Any, *arguments: Any, **options: Any) -> int:
            if str(path).endswith(name) and not done:
                done.append(path)
                change(place)
            return really(path, *arguments, **options)

        monkeypatch.setattr(os, "open", opened)

    return arrange


def gone(name: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        if (place / name).is_dir():
            shutil.rmtree(place / name)
        else:
            (place / name).unlink()

    return change


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        gone(name)(place)
        make((place / name).parent)

    return change


class _Full:
    """A file on a disk on which there is no space left."""

    def __init__(self, file: Any, room: int, from_close_on: bool) -> None:
        self._file, self._room, self._from_close_on = file, room, from_close_on

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0 and not self._from_close_on:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))

    def close(self) -> None:
        self._file.close()
        if self._from_close_on:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self) -> "_Full":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def full_disk(pattern: str, *, room: int = 0, from_close_on: bool = False) -> Change:
    """Files of such a name take no more than room bytes, or fail only when they are closed and flushed.

    Whoever writes through pathlib meets it: the store, the corpus, the tokenizer, the facts, the manifest.
    """

    def arrange(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        really = Path.open

        def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            file = really(path, mode, *arguments, **options)
            return _Full(file, room, from_close_on) if "w" in mode and fnmatch(path.name, pattern) else file

        monkeypatch.setattr(Path, "open", opened)

    return arrange


# Tables


def line(row: object) -> bytes:
    return json.dumps(row).encode() + b"\n"


def lines(texts: Iterable[str]) -> bytes:
    return b"".join(line({"content": text}) for text in texts)


GOOD_LINES = lines(MANY)


def table(bad: bytes, name: str = "a.jsonl", make: Callable[[Path], object] | None = None, **settings: Any) -> Build:
    """Good lines, then bad ones, in one file; make adds others to its folder."""
    return rows(GOOD_LINES + bad, name, make, **settings)


def rows(content: bytes, name: str = "a.jsonl", make: Callable[[Path], object] | None = None, **settings: Any) -> Build:
    """One file of JSON lines with exactly that content."""

    def build(place: Path) -> DataConfig:
        written(place / "data" / name, content)
        if make:
            make(place / "data")
        return jsonl.Config(path=str(place / "data"), **{**SMALL, **settings})

    return build


def globbed(pattern: str, make: Callable[[Path], object] | None = None) -> Build:
    """Good lines, whatever make puts beside them, and a glob for a path."""

    def build(place: Path) -> DataConfig:
        table(b"", make=make)(place)
        return jsonl.Config(path=f"{place}/data/{pattern}", **SMALL)

    return build


def two_links_to_here(root: Path) -> None:
    """Through each of them all is there once more: 2 to the power of 40 folders, before the system gives up."""
    for name in "xy":
        (root / name).symlink_to(".")


def gzipped(content: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(content) + packer.flush()


def bomb(new: Callable[[], Any], megabytes: int) -> bytes:
    """So many megabytes of zeros, packed."""
    packer = new()
    return b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)) + packer.flush()


def gzip_bomb(megabytes: int) -> bytes:
    return bomb(lambda: zlib.compressobj(9, wbits=31), megabytes)


def zstd_bomb(megabytes: int) -> bytes:
    return bomb(zstandard.ZstdCompressor(3).compressobj, megabytes)


def zstd_with_a_window_of_256_megabytes() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(GOOD_LINES) + packer.flush()


def noise(count: int) -> bytes:
    """Rows that no packer makes much smaller."""
    draw = random.Random(0)
    return lines(draw.randbytes(100).hex() for _ in range(count))


def columns(content: Any = None, make: Callable[[Path], object] | None = None, **others: Any) -> Build:
    """A Parquet file of good rows, those of content behind them, and other columns beside them."""

    def build(place: Path) -> DataConfig:
        (place / "data").mkdir()
        texts = pa.concat_arrays([pa.array(MANY), pa.array([], pa.string()) if content is None else content])
        pq.write_table(pa.table({"content": texts, **others}), place / "data" / "a.parquet")
        if make:
            make(place / "data")
        return parquet.Config(path=str(place / "data"), **SMALL)

    return build


def other_columns(**named: Any) -> Build:
    """A Parquet file of these columns and no others."""

    def build(place: Path) -> DataConfig:
        pq.write_table(pa.table(named), place / "a.parquet")
        return parquet.Config(path=str(place / "a.parquet"), **SMALL)

    return build


def damaged_parquet(damage: Callable[[bytes], bytes]) -> Build:
    def build(place: Path) -> DataConfig:
        draw = random.Random(0)
        table = pa.table({"content": [draw.randbytes(50).hex() for _ in range(500)]})
        path = place / "a.parquet"
        pq.write_table(table, path, write_page_checksum=True, use_dictionary=False, compression="none")
        path.write_bytes(damage(path.read_bytes()))
        return parquet.Config(path=str(path), **SMALL)

    return build


def parquet_that_says(wrong: Callable[[int], tuple[bytes, bytes]]) -> Build:
    """The good rows, and at the end of the file, where it says what is in it, some bytes in the place of others.

    wrong makes them, those that are there first, of the bytes that the column unpacks to.
    """

    def build(place: Path) -> DataConfig:
        path = place / "a.parquet"
        pq.write_table(pa.table({"content": MANY}), path, use_dictionary=False)
        old, new = wrong(pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size)
        content = path.read_bytes()
        start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        end = content[start:-8].replace(old, new)
        assert end != content[start:-8]
        path.write_bytes(content[:start] + end + len(end).to_bytes(4, "little") + b"PAR1")
        return parquet.Config(path=str(path), **SMALL)

    return build


def thrift(number: int) -> bytes:
    """A number of 64 bits as a footer has it: zigzag, seven bits a byte, the lowest first."""
    number, content = (number << 1 ^ number >> 63) & (1 << 64) - 1, bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])


def parquet_that_gives_one_long_text_again_and_again() -> Build:
    """40 kB of which a thousand texts of 5 MB would come."""

    def build(place: Path) -> DataConfig:
        texts = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array(["x" * 5 * MEGABYTE]))
        texts = pa.chunked_array([pa.array(MANY).dictionary_encode(), texts]).unify_dictionaries()
        pq.write_table(pa.table({"content": texts}), place / "a.parquet", store_schema=False)
        return parquet.Config(path=str(place / "a.parquet"), max_text_bytes=5 * MEGABYTE, **SMALL)

    return build


def parquet_with_a_text_of(megabytes: int, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    texts = pa.array(["x" * megabytes * MEGABYTE])
    pq.write_table(pa.table({"content": texts}), path, compression="zstd", use_dictionary=False, write_statistics=False)


@cache
def read_a_dataset_once() -> None:
    """The library imports much of itself only then, which is no cost of what is bad."""
    with tempfile.TemporaryDirectory() as place:
        written(Path(place) / "a.jsonl", GOOD_LINES)
        list(hub.documents(hub.Config(name=place), Skips()))


def dataset(
    name: str,
    content: bytes | Callable[[Path], object],
    make: Callable[[Path], object] | None = None,
    **settings: Any,
) -> Build:
    """A folder with one file in it, as a dataset of the Hub; make adds others."""

    def build(place: Path) -> DataConfig:
        read_a_dataset_once()
        (place / "data").mkdir()
        if callable(content):
            content(place / "data" / name)
        else:
            written(place / "data" / name, content)
        if make:
            make(place / "data")
        return hub.Config(name=str(place / "data"), **{**SMALL, **settings})

    return build


# Repositories

_PERSON = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_PERSON}


def in_git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, env=_ENVIRONMENT, check=True, capture_output=True).stdout.decode().strip()


def repository(
    bad: Mapping[str, str | bytes] | None = None,
    staged: Callable[[Path], object] | None = None,
    harm: Callable[[Path], object] | None = None,
    **settings: Any,
) -> Build:
    """The good files and some others in one commit, with what staged adds to the index; then harm is done."""

    def build(place: Path) -> DataConfig:
        root = place / "code"
        code(bad)(place)
        in_git(root, "init", "-q", "-b", "main")
        in_git(root, "add", "-A", "-f")
        if staged:
            staged(root)
        in_git(root, "commit", "-q", "-m", "x")
        if harm:
            harm(root)
        return git.Config(paths=[str(root)], **{**SMALL, **settings})

    return build


def repository_at(make: Callable[[Path], object]) -> Build:
    """What is no repository, or hardly one."""

    def build(place: Path) -> DataConfig:
        make(place / "code")
        return git.Config(paths=[str(place / "code")], **SMALL)

    return build


def staged_link(root: Path) -> None:
    (root / "bad.py").symlink_to("/etc/passwd")
    in_git(root, "add", "bad.py")


def staged_submodule(root: Path) -> None:
    in_git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},bad.py")


def with_object(name: str, harm: Callable[[Path], object]) -> Callable[[Path], None]:
    """Do harm to the file that the object of that name ("HEAD:bad.py") is in."""

    def apply(root: Path) -> None:
        number = in_git(root, "rev-parse", name)
        file = root / ".git" / "objects" / number[:2] / number[2:]
        file.chmod(0o644)
        harm(file)

    return apply


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def lying(file: Path) -> None:
    """Say of an object that it is shorter, and end what is too much in an answer to the next question."""
    old = zlib.decompress(file.read_bytes())
    file.write_bytes(zlib.compress(old.replace(b"blob 60", b"blob 20", 1)))


# Packages


def install(site: Path, name: str, *files: str, metadata: str | None = None, record: bytes | None = None) -> Path:
    """Write files and what an installer writes."""
    info = site / f"{name}-1.0.dist-info"
    written(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" if metadata is None else metadata)
    for number, file in enumerate(files):
        written(site / file, f"def {name}_{number}(x):\n    return x\n")
    written(info / "RECORD", "".join(f"{file},,\n" for file in files).encode() if record is None else record)
    return info


def environment(damage: Callable[[Path], object]) -> Build:
    """A site-packages with two packages of the good files, and one that is damaged."""

    def build(place: Path) -> DataConfig:
        site = place / "site"
        for package, texts in (("ant", FEW[:2]), ("bee", FEW[2:])):
            files = [f"{package}/good_{number}.py" for number in range(len(texts))]
            install(site, package, *files)
            for file, text in zip(files, texts, strict=True):
                written(site / file, text)
        damage(site)
        return packages.Config(environment=str(site), **SMALL)

    return build


def environment_at(make: Callable[[Path], object]) -> Build:
    def build(place: Path) -> DataConfig:
        make(place / "site")
        return packages.Config(environment=str(place / "site"), **SMALL)

    return build


def recorded(record: bytes, make: Callable[[Path], object] | None = None) -> Build:
    """A package whose record of its files is this."""

    def damage(site: Path) -> None:
        install(site, "cat", record=record)
        secret_outside(site)
        if make:
            make(site)

    return environment(damage)


def without(name: str) -> Build:
    """A package that has lost the file of that name."""
    return environment(lambda site: (install(site, "cat", "cat.py") / name).unlink())


def with_origin(text: str) -> Build:
    """A package whose direct_url.json says this."""
    return environment(lambda site: written(install(site, "cat", "cat.py") / "direct_url.json", text))


def as_record(name: str, make: Callable[[Path], object]) -> Build:
    """A package that has something else in the place of one of its records."""

    def damage(site: Path) -> None:
        path = install(site, "cat", "cat.py") / name
        path.unlink(missing_ok=True)
        make(path)

    return environment(damage)


# Mixtures


OTHER = "def other(x):\n    return -x\n"
"""What the first part of each mixture has."""


def mixed(*parts: Any, build: Build | None = None) -> Build:
    """A folder with one good file, mixed with parts, and with the files that build makes."""

    def both(place: Path) -> DataConfig:
        written(place / "first" / "other.py", OTHER)
        every: list[Any] = [{"source": "folder", "path": str(place / "first")}, *parts]
        if build:
            made: Any = build(place)
            every.append({"source": made.source, "path": made.path})
        return mixture.Config(parts=every, **SMALL)

    return both


def no_parts(place: Path) -> DataConfig:
    return mixture.Config()


# Caches


def prepared_before(damage: Callable[[Path], object], **settings: Any) -> Build:
    """Good files whose prepared data is in the cache, and damaged there."""

    def build(place: Path) -> DataConfig:
        config = code(**settings)(place)
        prepare(config, place / "cache")
        (entry,) = (place / "cache").iterdir()
        damage(entry)
        return config

    return build


def truncated(name: str) -> Callable[[Path], None]:
    return lambda entry: os.truncate(entry / name, (entry / name).stat().st_size - 1)


def left_by_a_process_that_is_no_more(entry: Path) -> None:
    entry.rename(entry.with_name(".making-x"))  # without the lock of a living one


def of_other_settings(place: Path) -> DataConfig:
    """The cache holds what the same files came to when their functions were wanted, and with another seed."""
    prepare(code(unit="function")(place), place / "cache")
    prepare(code(seed=1)(place), place / "cache")
    return code()(place)


def of_files_that_were_others(place: Path) -> DataConfig:
    """The cache holds what stood at the same paths before."""
    code({"good_0.py": "old = 1\n"})(place)
    prepare(folder.Config(path=str(place / "code"), **SMALL), place / "cache")
    return code()(place)
