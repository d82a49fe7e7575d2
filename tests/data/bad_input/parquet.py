"""Parquet files."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bad_input.files import (
    MANY,
    MARKED,
    MEGABYTE,
    SMALL,
    at_the_first_opening_of,
    gone,
    link,
    no_special_token_in,
    pipe,
    written,
)
from bad_input.jsonl import GOOD_LINES
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import parquet


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


UNREADABLE = "a.parquet is no Parquet file that can be read, or not all of one"
ROWS = [
    skip("parquet: a row without text", columns(pa.array([None], pa.string())), "row without text"),
    skip("parquet: a text that is not UTF-8", columns(pa.array([b"\xe9"]).view(pa.string())), "not UTF-8"),
    skip("parquet: a lone surrogate", columns(pa.array([b"\xed\xa0\x80"]).view(pa.string())), "not UTF-8"),
    skip("parquet: a NUL", columns(pa.array(["x\0"])), "binary file"),
    skip("parquet: a text of white space", columns(pa.array([" \n"])), "empty file"),
    skip("parquet: a pipe", columns(make=pipe("b.parquet")), "not a regular file"),
    skip("parquet: a link out of the folder", columns(make=link("../outside/secret.py", "b.parquet")), "link"),
    skip(
        "parquet: a file that vanishes",
        columns(make=lambda root: written(root / "b.parquet", "x")),
        "vanished while scanning",
        arrange=at_the_first_opening_of("a.parquet", gone("data/b.parquet")),
    ),
    skip(
        "parquet: one text of 5 MB forty times",
        parquet_that_gives_one_long_text_again_and_again(),
        "exact duplicate",
        count=39,
        good=[*MANY, "x" * 5 * MEGABYTE],
        seconds=30,  # 200 MB to read, search and compare
        mebibytes=250,
    ),
    skip(
        "parquet: a text over the limit",
        columns(pa.array(["x" * 1_000_001])),
        "text over 1,000,000 bytes",
    ),
    normalise("parquet: CRLF and a mark", columns(pa.array(["\ufeffx = 1\r\n"])), "x = 1\n"),
    normalise("parquet: special tokens in code", columns(pa.array([MARKED])), MARKED, prepared=no_special_token_in),
    refuse(
        "parquet: one text of 300 MB",
        columns(make=lambda root: parquet_with_a_text_of(300, root / "b.parquet")),
        "b.parquet: 'content' unpacks to more than 200 times its size",
    ),
    refuse("parquet: cut off", damaged_parquet(lambda data: data[: len(data) // 2]), UNREADABLE),
    refuse("parquet: without its last byte", damaged_parquet(lambda data: data[:-1]), UNREADABLE),
    refuse("parquet: without bytes", damaged_parquet(lambda data: b""), UNREADABLE),
    refuse("parquet: JSON lines", damaged_parquet(lambda data: GOOD_LINES), UNREADABLE),
    refuse("parquet: a letter changed", damaged_parquet(lambda d: d[:9000] + b"\xff" + d[9001:]), UNREADABLE),
    refuse("parquet: a hole in it", damaged_parquet(lambda d: d[:100] + bytes(2000) + d[2100:]), UNREADABLE),
    refuse(
        "parquet: an index of 2 GB, by its own account",
        damaged_parquet(lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
        UNREADABLE,
    ),
    *(
        refuse(
            f"parquet: {rows:,} rows by its own account",
            parquet_that_says(lambda _, rows=rows: (thrift(len(MANY)), thrift(rows))),
            UNREADABLE,
        )
        for rows in (1 << 62, 1 << 31, 151, -1)
    ),
    refuse(
        "parquet: a column of a terabyte by its own account",
        parquet_that_says(lambda size: (thrift(size), thrift(1 << 40))),
        "a row group has 1,099,511,627,776 bytes in the column 'content', more than may be",
    ),
    refuse(
        "parquet: a column whose name is not UTF-8",
        parquet_that_says(lambda _: (b"content", b"conten\xff")),
        UNREADABLE,
    ),
    refuse(
        "parquet: statistics of another kind of column, at which pyarrow ends the process",
        parquet_that_says(lambda _: (b"\x26\0" + thrift(len(MANY)), b"\x36\0\0" + thrift(len(MANY)))),
        UNREADABLE,
        "what it says of its columns is damaged",
    ),
    refuse(
        "parquet: no such column", other_columns(contents=["x"]), "has no column 'content'; did you mean 'contents'?"
    ),
    refuse("parquet: numbers for texts", other_columns(content=[1]), "'content' has no text in it, but int64"),
    refuse("parquet: bytes for texts", other_columns(content=[b"x"]), "'content' has no text in it, but binary"),
    refuse("parquet: lists for texts", other_columns(content=[["x"]]), "'content' has no text in it, but list"),
]
