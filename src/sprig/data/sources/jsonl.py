"""The source `jsonl`: files of JSON lines, plain or compressed; each line is an object with one file of code in it.

Where it stands: the first step of the way data takes. `sprig.data.files_of_tables` finds the files and
`sprig.data.rows_of_tables` makes documents of rows, this module turns bytes into rows. Files are read, unpacked and cut
into lines a piece at a time: what is in memory is one piece and one line, whatever a file unpacks to.

A broken line is left out and counted; a file that is cut off or is no archive ends the run, since nobody could say
what is missing.
"""

import codecs
import json
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from sprig.data import files_of_tables, rows_of_tables
from sprig.data.documents import Document, Skips
from sprig.data.reading import Unfit
from sprig.data.rows_of_tables import TableConfig

_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_BLOCK = 1 << 20
# Bytes given to an unpacker at once. Four of zstd make 128 KiB at worst and one of gzip 1032, so that what comes
# out is at most 32 MiB; code comes out three to eight times as large.
_PIECE = 1 << 10
_RATIO, _RATIO_FROM = 200, 10_000_000
_WINDOW = 1 << 27  # bytes; what zstd allows itself by default, and --long=31 does not
_KEYS = 1000  # of a row that are remembered, to name the nearest where a column is in no row
_PATIENCE = 1000  # lines after which one broken in ten is enough to say that more than one in a hundred will be


@dataclass
class Config(TableConfig):
    """Rows of files of JSON lines."""

    source: str = "jsonl"
    path: str = ""
    """A file, a folder (read at any depth) or a glob ('data/*.jsonl.gz') of .jsonl, .jsonl.gz and .jsonl.zst."""
    max_line_bytes: int = 10_000_000
    """Longer lines count as broken."""
    max_output_bytes: int = 20_000_000_000
    """A file that unpacks to more ends the run, and so does one that unpacks to 200 times its size (from 10 MB on)."""


class _Unpacker(Protocol):
    """What zlib and zstandard have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield a document for each line, in the order of the files' names and of their lines.

    ValueError where there is no file, for a file that is cut off, damaged or a bomb, and where more than one line in a
    hundred is broken; from the thousandth line on, as soon as more than one in ten is.
    """
    if config.max_line_bytes < 1 or config.max_output_bytes < 1:
        raise ValueError("data.max_line_bytes and data.max_output_bytes must be at least 1.")
    rows_of_tables.columns(config)
    files = files_of_tables.files_at(config.path, _ENDINGS, skips)
    if any(name.lower().endswith(".zst") for _, name in files):
        _zstandard()
    for file, name in files:
        if not _unpacker(name) and _size(file) > config.max_output_bytes:
            raise _too_much(name, config)
    return _documents(config, files, skips)


def state(config: Config) -> Iterator[str]:
    """The files with their sizes and times."""
    return files_of_tables.state_of(file for file, _ in files_of_tables.files_at(config.path, _ENDINGS, Skips()))


def _documents(config: Config, files: list[tuple[Path, str]], skips: Skips) -> Iterator[Document]:
    lines, broken, first = 0, 0, ""
    unseen, keys = set(rows_of_tables.columns(config)), set[str]()
    with closing(_numbered_lines(files, config, skips)) as numbered:  # not when it is collected: a file is open
        for place, line in numbered:
            lines += 1
            try:
                row = _row(line, config)
                keys = keys or set(islice(row, _KEYS))
                unseen -= row.keys()
                document = rows_of_tables.document(row, place, config)
            except Unfit as reason:
                if str(reason) in ("empty file", rows_of_tables.too_long(config)):
                    skips.add(str(reason), place)
                    continue
                skips.add(f"broken line: {reason}", place)
                broken, first = broken + 1, first or f"{place} ({reason})"
                if lines >= _PATIENCE:
                    _check(lines, broken, first, config, 10)
            else:
                if lines == _PATIENCE:
                    _check(lines, broken, first, config, 10)
                yield document
    _check(lines, broken, first, config, 100)
    if keys and unseen:
        name = next(name for name in rows_of_tables.columns(config) if name in unseen)
        raise ValueError(f"data.path={config.path}: no line has a field {name!r}{rows_of_tables.nearest(name, keys)}")


def _check(lines: int, broken: int, first: str, config: Config, most: int) -> None:
    """Raise ValueError where more than one line in so many is broken."""
    if broken * most > lines:
        raise ValueError(
            f"data.path={config.path}: {broken:,} of {lines:,} lines are broken, more than one in {most}.\n"
            f"The first is {first}."
        )


def _row(line: bytes | None, config: Config) -> dict[str, str | None]:
    """The fields of a line, those that are no text as None; Unfit where one that is needed is no text."""
    if line is None:
        raise Unfit(f"over {config.max_line_bytes:,} bytes")
    try:
        value: Any = json.loads(line.decode())
    except UnicodeDecodeError:
        raise Unfit("not UTF-8") from None
    except (ValueError, RecursionError):  # ValueError: also an integer of 5,000 digits
        raise Unfit("not JSON") from None
    if not isinstance(value, dict):
        raise Unfit("not an object")
    for name in rows_of_tables.columns(config):
        if not isinstance(value.get(name), str) and (name == config.text_column or value.get(name) is not None):
            raise Unfit(f"no text in the field {name!r}" if name in value else f"no field {name!r}")
    return {name: field if isinstance(field, str) else None for name, field in value.items()}


def _numbered_lines(
    files: list[tuple[Path, str]], config: Config, skips: Skips
) -> Generator[tuple[str, bytes | None], None, None]:
    """Yield ("a.jsonl:12", line) for all lines that are not blank."""
    for file, name in files:
        with closing(_content(file, name, config, skips)) as content:
            for number, line in enumerate(_lines(content, config.max_line_bytes), 1):
                if line is None or line.strip():
                    yield f"{name}:{number}", line


def _lines(content: Iterator[bytes], longest: int) -> Iterator[bytes | None]:
    """Cut content at its line ends; None stands for a line of more than longest bytes, which is not kept."""
    held, over = bytearray(), False
    for piece in content:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            whole = not over and len(held) + end - start <= longest
            yield bytes(held) + piece[start:end] if whole else None
            held, over, start = bytearray(), False, end + 1
        if over or len(held) + len(piece) - start > longest:
            held, over = bytearray(), True
        else:
            held += piece[start:]
    if held or over:
        yield None if over else bytes(held)


def _content(file: Path, name: str, config: Config, skips: Skips) -> Generator[bytes, None, None]:
    """The unpacked bytes of a file, in pieces, without a byte order mark."""
    try:
        stream = files_of_tables.open_regular(file)
    except Unfit as reason:
        skips.add(str(reason), name)
        return
    new, size = _unpacker(name), 0
    with stream:
        blocks = iter(lambda: stream.read(_PIECE if new else _BLOCK), b"")
        for piece in _unpacked(blocks, new, name) if new else blocks:
            if not size:
                piece = piece.removeprefix(codecs.BOM_UTF8)
            size += len(piece)
            if size > config.max_output_bytes:
                raise _too_much(name, config)
            if new and size > max(_RATIO_FROM, _RATIO * stream.tell()):
                raise ValueError(f"{name} unpacks to more than {_RATIO} times its size: no file of code does.")
            yield piece
    if not size:
        skips.add("empty file", name)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size  # of the blob, where it is a link to one
    except OSError:
        return 0  # it vanished: that is counted when it is opened


def _too_much(name: str, config: Config) -> ValueError:
    return ValueError(f"{name} holds more than data.max_output_bytes={config.max_output_bytes:,} bytes.")


def _unpacker(name: str) -> Callable[[], _Unpacker] | None:
    """What makes an unpacker for one part (member, frame) of a file of that name; None if it is not packed."""
    name = name.lower()
    if name.endswith(".gz"):
        return lambda: zlib.decompressobj(wbits=31)
    if name.endswith(".zst"):
        zstandard = _zstandard()
        return lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    return None


def _unpacked(blocks: Iterator[bytes], new: Callable[[], _Unpacker], name: str) -> Iterator[bytes]:
    """Unpack a file that is any number of parts one after the other."""
    part, ended = None, False
    for block in blocks:
        while block := block.lstrip(b"\0") if ended else block:  # as gzip takes zeros behind a member: tar pads
            part, ended = part or new(), False
            try:
                piece = part.decompress(block)
            except Exception as error:  # zlib's or zstandard's own: they have no base in common
                raise ValueError(f"{name} cannot be unpacked: {error}") from None
            yield piece
            ended = part.eof and name.lower().endswith(".gz")
            block, part = (part.unused_data, None) if part.eof else (b"", part)
    if part is not None:
        raise ValueError(f"{name} is cut off: its last part has no end. Fetch it again.")


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise ValueError("Files ending in .zst need zstandard: pip install '.[hub]' in Sprig's folder") from None
    return zstandard
