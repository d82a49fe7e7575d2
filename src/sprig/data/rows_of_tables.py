"""Rows of a table -> Documents: which columns mean what.

Where it stands: below the sources `jsonl`, `parquet` and `hub`, which differ in how rows are read and in nothing else.
One row is one whole file of code. Its text is normalised as that of a file is (`sprig.data.reading.decode`).
`sprig.data.files_of_tables` knows which files a table is in.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from sprig.data.cleaning.licenses import of_statement
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.languages import chosen, language_named, language_of
from sprig.data.reading import Unfit, decode

_LONGEST_NAME = 4_096  # bytes of a path or a group, each of which stays in memory
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
    language: str | None = None
    """The language of rows that say none by column or path: what is done to Python is done where a row is known to be
    Python."""
    max_text_bytes: int = 1_000_000
    """Rows with a longer text in one of these columns are skipped, as larger files are."""


def columns(config: TableConfig) -> list[str]:
    """The columns that are read, each once; ValueError where the column of the text has no name, or no text fits."""
    if not config.text_column:
        raise ValueError("data.text_column needs the name of the column that the code is in.")
    if config.max_text_bytes < 1:
        raise ValueError("data.max_text_bytes must be at least 1.")
    if config.language is not None:
        try:
            chosen([config.language])
        except ValueError as error:
            raise ValueError(f"data.language: {error}") from None
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
    if max(sizes[1:3]) > _LONGEST_NAME:
        raise Unfit(f"path or group over {_LONGEST_NAME:,} bytes")
    code = decode(data, python=False)  # what a coding cookie says was true of the file that the row was made from
    if not code.strip():
        raise Unfit("empty file")
    language = language.strip().lower()
    path = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[0].strip()) or place
    return Document(
        text=code,
        path=path,
        group=words[1] or path,
        language=language_named(language) if language else language_of(path) or config.language or "",
        license=of_statement(words[2].strip()),
    )
