"""The source `parquet`: Parquet files; each row is one file of code.

Where it stands: the first step of the way data takes. `sprig.data.files_of_tables` finds the files and
`sprig.data.rows_of_tables` makes documents of rows, this module reads the rows: of the columns that are needed, a few
at a time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sprig.data import files_of_tables, parquet_footer, rows_of_tables
from sprig.data.documents import Document, Skips
from sprig.data.reading import Unfit
from sprig.data.rows_of_tables import TableConfig

_ENDINGS = (".parquet",)
# Rows at once. A dictionary lets a small file give one long text again and again, so that only their number bounds
# what comes out; and reading 256 at once is no faster.
_BATCH = 8
_BUFFER = 1 << 20  # bytes of a column that are fetched at once, instead of the whole row group's
# From so many bytes on, a column of a row group is read row by row, and must not unpack to 200 times its size.
_LARGE, _RATIO = 100_000_000, 200
_SECONDS = 60  # for the end of a file, where it says what is in it


@dataclass
class Config(TableConfig):
    """Rows of Parquet files."""

    source: str = "parquet"
    path: str = ""
    """A file, a folder (read at any depth) or a glob ('data/train-*.parquet') of .parquet."""
    max_chunk_bytes: int = 1_000_000_000
    """A file with a column that unpacks to more in one of its row groups ends the run: one text may be as large."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield a document for each row, in the order of the files' names and of their rows.

    ValueError where there is no file, and for a file that is damaged, lacks a column or has other than text in it.
    """
    if config.max_chunk_bytes < 1:
        raise ValueError("data.max_chunk_bytes must be at least 1.")
    columns = rows_of_tables.columns(config)
    files = files_of_tables.files_at(config.path, _ENDINGS, skips)
    _pyarrow()
    rows = (
        (f"{name}:{number}", row)
        for file, name in files
        for number, row in enumerate(_rows(file, name, columns, config, skips), 1)
    )
    return rows_of_tables.documents(rows, config, skips)


def state(config: Config) -> Iterator[str]:
    """The files with their sizes and times."""
    return files_of_tables.state_of(file for file, _ in files_of_tables.files_at(config.path, _ENDINGS, Skips()))


def check_sizes(stream: BinaryIO, columns: Collection[str], name: str, limit: int) -> int:
    """Raise ValueError where a column of a row group of an open file unpacks to more than limit, or looks like a bomb.

    No columns are all of them. It goes by what the file says, since pyarrow reads no page's size before the page. The
    answer is the largest size.
    """
    largest = 0
    for column, size, packed in _sizes(stream, columns, name):
        if size > limit:
            raise ValueError(
                f"{name}: a row group has {size:,} bytes in the column {column!r}, more than may be ({limit:,}).\n"
                "Write it with smaller row groups, or raise data.max_chunk_bytes (data=parquet)."
            )
        if size > max(_LARGE, _RATIO * packed):
            raise ValueError(f"{name}: {column!r} unpacks to more than {_RATIO} times its size: no code does.")
        largest = max(largest, size)
    return largest


def _sizes(stream: BinaryIO, columns: Collection[str], name: str) -> list[tuple[str, int, int]]:
    """(column, bytes when unpacked, bytes as they are) for each row group of an open file, by its own account."""
    place = os.lseek(stream.fileno(), 0, os.SEEK_CUR)  # which the process that reads the file's end shares with us
    try:
        answer = subprocess.run(  # noqa: S603  our own interpreter and script
            [sys.executable, "-B", parquet_footer.__file__, *columns],
            stdin=stream,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, ValueError):  # ValueError: a NUL in the name of a column
        raise _unreadable(name, "what it says of its columns is damaged") from None
    finally:
        os.lseek(stream.fileno(), place, os.SEEK_SET)
    sizes: list[tuple[str, int, int]] = json.loads(answer.stdout)
    return sizes


def check_file(stream: BinaryIO, columns: Collection[str], name: str) -> None:
    """Check the sizes in an open file, or of all its columns if some of these are missing; a damaged one passes."""
    pa, pq = _pyarrow()
    try:
        known = pq.ParquetFile(stream).schema_arrow.names
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return
    check_sizes(stream, columns if set(columns) <= set(known) else (), name, Config.max_chunk_bytes)


def _rows(file: Path, name: str, columns: list[str], config: Config, skips: Skips) -> Iterator[dict[str, bytes | None]]:
    """Yield the rows of one file, texts as the bytes that are in it: nothing has made sure that they are UTF-8."""
    pa, pq = _pyarrow()
    try:
        stream = files_of_tables.open_regular(file)
    except Unfit as reason:
        skips.add(str(reason), name)
        return
    with stream:
        try:
            table = pq.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)
            schema = table.schema_arrow
            rows_of_tables.check_columns(config, schema.names, name)
            for column in columns:
                _check_text(schema.field(column).type, column, name)
            large = check_sizes(stream, columns, name, config.max_chunk_bytes) > _LARGE
            found = 0
            for batch in table.iter_batches(1 if large else _BATCH, columns=columns, use_threads=False):
                found += batch.num_rows
                values = [_bytes(batch.column(column), config.max_text_bytes) for column in columns]
                yield from (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # ArrowInvalid is a ValueError of many lines
            raise _unreadable(name, str(error)) from None
    if found != table.metadata.num_rows:
        raise _unreadable(name, f"it has {found:,} rows and should have {table.metadata.num_rows:,}")


def _unreadable(name: str, reason: str) -> ValueError:
    said = " ".join(reason.split())[:150]
    return ValueError(f"{name} is no Parquet file that can be read, or not all of one: {said}")


def _check_text(kind: Any, column: str, name: str) -> None:
    pa, _ = _pyarrow()
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)):
        raise ValueError(f"{name}: the column {column!r} has no text in it, but {kind!s:.80}.")


def _bytes(column: Any, longest: int) -> list[bytes | None]:
    """The texts of a column, those over longest bytes cut to one byte more, by which they are known."""
    pa, _ = _pyarrow()
    texts = column.cast(pa.large_binary())
    if texts.nbytes > longest:
        from pyarrow.compute import binary_slice

        texts = binary_slice(texts, 0, longest + 1)
    values: list[bytes | None] = texts.to_pylist()
    return values


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError("Parquet files need packages more: pip install '.[hub]' in Sprig's folder") from None
    return pyarrow, pyarrow.parquet
