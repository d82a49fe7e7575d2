"""The source `parquet`: Parquet files; each row is one file of code.

Where it stands: the first step of the way data takes. `sprig.data.rows_of_tables` finds the files and makes documents
of rows, this module reads the rows: of the columns that are needed, a few at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprig.data import rows_of_tables
from sprig.data.documents import Document, Skips
from sprig.data.reading import Unfit
from sprig.data.rows_of_tables import TableConfig

_ENDINGS = (".parquet",)
# Rows at once. A dictionary lets a small file give one long text again and again, so that only their number bounds
# what comes out; and reading 256 at once is no faster.
_BATCH = 8
_BUFFER = 1 << 20  # bytes of a column that are fetched at once, instead of the whole row group's


@dataclass
class Config(TableConfig):
    """Rows of Parquet files."""

    source: str = "parquet"
    path: str = ""
    """A file, a folder (read at any depth) or a glob ('data/train-*.parquet') of .parquet."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield a document for each row, in the order of the files' names and of their rows.

    ValueError where there is no file, and for a file that is damaged, lacks a column or has other than text in it.
    """
    columns = rows_of_tables.columns(config)
    files = rows_of_tables.files_at(config.path, _ENDINGS, skips)
    _pyarrow()
    return _documents(config, columns, files, skips)


def state(config: Config) -> Iterator[str]:
    """The files with their sizes and times."""
    return rows_of_tables.state_of(file for file, _ in rows_of_tables.files_at(config.path, _ENDINGS, Skips()))


def _documents(config: Config, columns: list[str], files: list[tuple[Path, str]], skips: Skips) -> Iterator[Document]:
    for file, name in files:
        for number, row in enumerate(_rows(file, name, columns, config, skips), 1):
            place = f"{name}:{number}"
            try:
                document = rows_of_tables.document(row, place, config)
            except Unfit as reason:
                skips.add(str(reason), place)
                continue
            yield document


def _rows(file: Path, name: str, columns: list[str], config: Config, skips: Skips) -> Iterator[dict[str, bytes | None]]:
    """Yield the rows of one file, texts as the bytes that are in it: nothing has made sure that they are UTF-8."""
    pa, pq = _pyarrow()
    try:
        stream = rows_of_tables.open_regular(file)
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
            for batch in table.iter_batches(_BATCH, columns=columns, use_threads=False):
                values = [_bytes(batch.column(column)) for column in columns]
                yield from (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))
        except (pa.ArrowException, OSError) as error:  # ArrowInvalid is a ValueError too, of several lines
            said = " ".join(str(error).split())[:150]
            raise ValueError(f"{name} is no Parquet file that can be read, or not all of one: {said}") from None


def _check_text(kind: Any, column: str, name: str) -> None:
    pa, _ = _pyarrow()
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)):
        raise ValueError(f"{name}: the column {column!r} has no text in it, but {kind}.")


def _bytes(column: Any) -> list[bytes | None]:
    pa, _ = _pyarrow()
    values: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    return values


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError("Parquet files need packages more: pip install 'sprig[hub]'") from None
    return pyarrow, pyarrow.parquet
