"""JSON lines, packed and unpacked."""

import json
import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zstandard

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
    replaced,
    sparse,
    written,
)
from bad_input.row import Build, Row, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import jsonl


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


def broken(name: str, bad: bytes, reason: str, **settings: Any) -> Row:
    """A broken line behind good ones: where it stands is seen where the run ends, in the rows that refuse."""
    return skip(f"jsonl: {name}", table(bad + b"\n", **settings), f"broken line: {reason}")


NO_TEXT = "no text in the field 'content'"
ROWS = [
    broken("no JSON", b"{'content': 'x'}", "not JSON"),
    broken("a line that is cut off", b'{"content": "x = 1', "not JSON"),
    broken("two objects on a line", b'{"content": "x"} {"content": "y"}', "not JSON"),
    broken("100,000 brackets", b"[" * 100_000, "not JSON"),
    broken("an integer of 5,000 digits", b'{"content": "x", "n": ' + b"1" * 5000 + b"}", "not JSON"),
    broken("a list", b'["x = 1"]', "not an object"),
    broken("null", b"null", "not an object"),
    broken("a field of another name", b'{"contents": "x"}', "no field 'content'"),
    broken("a field with a name of 5 MB", line({"content" * 700_000: "x"}), "no field 'content'"),
    skip(
        "jsonl: names for a field",
        rows(GOOD_LINES + lines([f"x = {n}" for n in range(300)]) + b'{"text1": "x"}\n{"text2": "x"}\n'),
        "broken line: no field 'content'",
        count=2,
        good=[*MANY, *(f"x = {n}" for n in range(300))],
    ),
    skip(
        "jsonl: a text over the limit", table(line({"content": "x" * 999}), max_text_bytes=900), "text over 900 bytes"
    ),
    skip("jsonl: a glob, and two links to here", globbed("**/*.jsonl", two_links_to_here), "link", count=2),
    skip(
        "jsonl: a glob, and a link to a folder outside",
        globbed("*/*.jsonl", lambda root: (link("../outside", "x")(root), written(root / "y" / "b.jsonl", GOOD_LINES))),
        "link",
    ),
    skip(
        "jsonl: a link to a folder outside",
        table(b"", make=link("../outside", "x")),
        "link",
    ),
    broken("no text", b'{"content": null}', NO_TEXT),
    broken("a list for a text", b'{"content": ["x"]}', NO_TEXT),
    broken("a number for a text", b'{"content": 7}', NO_TEXT),
    broken("a lone surrogate", rb'{"content": "\ud800"}', "lone surrogates"),
    broken("a NUL", rb'{"content": "x\u0000"}', "binary file"),
    broken("Latin-1", b'{"content": "\xe9"}', "not UTF-8"),
    broken("a long line", line({"content": "x" * 4 * MEGABYTE}), "over 1,000 bytes", max_line_bytes=1000),
    skip(
        "jsonl: 300 MB without a line end",
        table(b"", make=sparse("b.jsonl", 300 * MEGABYTE)),
        "broken line: over 10,000,000 bytes",
        mebibytes=50,
    ),
    skip("jsonl: a text of white space", table(line({"content": " \r\n"})), "empty file"),
    skip("jsonl: a file without bytes", table(b"", make=lambda root: written(root / "b.jsonl", "")), "empty file"),
    skip(
        "jsonl: a packed file without bytes",
        table(b"", make=lambda root: written(root / "b.jsonl.gz", "")),
        "empty file",
    ),
    skip("jsonl: a pipe", table(b"", make=pipe("b.jsonl")), "not a regular file"),
    skip("jsonl: a link out of the folder", table(b"", make=link("../outside/secret.py", "b.jsonl")), "link"),
    skip("jsonl: a link to a device", table(b"", make=link("/dev/zero", "b.jsonl")), "link"),
    skip(
        "jsonl: a file name that is not UTF-8",
        table(b"", make=lambda root: written(root / "b\udce9.jsonl", GOOD_LINES)),
        "file name not UTF-8",
    ),
    skip(
        "jsonl: a file that may not be read",
        table(b"", make=lambda root: written(root / "b.jsonl", "x").chmod(0)),
        "unreadable",
        stranger=True,
    ),
    skip(
        "jsonl: a file that vanishes",
        table(b"", make=lambda root: written(root / "b.jsonl", lines(["x = 1\n"]))),
        "vanished while scanning",
        arrange=at_the_first_opening_of("a.jsonl", gone("data/b.jsonl")),
    ),
    skip(
        "jsonl: a file that becomes a pipe",
        table(b"", make=lambda root: written(root / "b.jsonl", lines(["x = 1\n"]))),
        "not a regular file",
        arrange=at_the_first_opening_of("a.jsonl", replaced("data/b.jsonl", pipe("b.jsonl"))),
        becomes_a_pipe=True,
    ),
    normalise("jsonl: CRLF and a mark in a text", table(line({"content": "\ufeffx = 1\r\n"})), "x = 1\n"),
    normalise(
        "jsonl: a mark, CRLF and blank lines between rows",
        rows(b"\xef\xbb\xbf" + lines([*MANY, "x = 1\n"]).replace(b"\n", b"\r\n\r\n")),
        "x = 1\n",
    ),
    normalise("jsonl: no line end at the end", table(b'{"content": "x = 1"}'), "x = 1"),
    normalise(
        "jsonl: fields that nobody needs and that are no text",
        table(b'{"content": "x = 1", "n": NaN, "content ": [1], "path": 7}\n'),
        "x = 1",
    ),
    normalise("jsonl: special tokens in code", table(line({"content": MARKED})), MARKED, prepared=no_special_token_in),
    normalise(
        "jsonl: special tokens in code, where they are in use",
        rows(
            b"".join(line({"content": text, "repo": str(n // 2)}) for n, text in enumerate([*MANY, MARKED])),
            **{"group_column": "repo", "repositories": True, "vocab_size": 260},
        ),
        MARKED,
        prepared=no_special_token_in,
    ),
    normalise(
        "jsonl: an archive of several parts, one of them empty",
        rows(gzipped(GOOD_LINES) + gzipped(b"") + gzipped(lines(["x = 1"])), "a.jsonl.gz"),
        "x = 1",
    ),
    normalise(
        "jsonl: zeros behind an archive, as tar pads it",
        rows(gzipped(GOOD_LINES) + bytes(512) + gzipped(lines(["x = 1"])) + bytes(512), "a.jsonl.gz"),
        "x = 1",
    ),
    skip(
        "jsonl: a path of 5,000 letters",
        table(line({"content": "x = 1", "p": "x" * 5000}), path_column="p"),
        "broken line: path or group over 4,096 bytes",
    ),
    skip(
        "jsonl: a group of 5,000 letters",
        table(line({"content": "x = 1", "g": "x" * 5000}), group_column="g"),
        "broken line: path or group over 4,096 bytes",
    ),
    refuse(
        "jsonl: more than one broken line in a hundred",
        rows(GOOD_LINES + b"oops\n" + b"{}\n"),
        "2 of 152 lines are broken, more than one in 100.\nThe first is a.jsonl:151 (not JSON)",
    ),
    refuse("jsonl: UTF-16", rows(GOOD_LINES.decode().encode("utf-16")), "are broken", "a.jsonl:1 (not UTF-8)"),
    refuse("jsonl: an archive without its ending", rows(gzipped(GOOD_LINES)), "are broken", "a.jsonl:1 (not UTF-8)"),
    refuse(
        "jsonl: a table with commas", rows(b"content,n\n" + b"x = 1,7\n" * 200), "are broken", "a.jsonl:1 (not JSON)"
    ),
    refuse("jsonl: one object over many lines", rows(b'{\n"content":\n"x"\n}\n'), "a.jsonl:1 (not JSON)"),
    refuse("jsonl: a gzip file that is cut off", rows(gzipped(noise(99))[:-9], "a.jsonl.gz"), "a.jsonl.gz is cut off"),
    refuse("jsonl: a gzip file of zeros", rows(bytes(9999), "a.jsonl.gz"), "a.jsonl.gz cannot be unpacked"),
    refuse("jsonl: a gzip file that is none", rows(GOOD_LINES, "a.jsonl.gz"), "a.jsonl.gz cannot be unpacked"),
    refuse(
        "jsonl: a gzip file with a wrong checksum",
        rows(gzipped(GOOD_LINES)[:-8] + bytes(8), "a.jsonl.gz"),
        "a.jsonl.gz cannot be unpacked",
    ),
    refuse(
        "jsonl: a gzip file with something behind it",
        rows(gzipped(GOOD_LINES) + b"garbage", "a.jsonl.gz"),
        "a.jsonl.gz cannot be unpacked",
    ),
    refuse("jsonl: a gzip bomb", rows(gzip_bomb(400), "a.jsonl.gz"), "unpacks to more than 200 times its size"),
    refuse(
        "jsonl: a gzip bomb among good files",
        table(b"", make=lambda root: written(root / "b.jsonl.gz", gzip_bomb(400))),
        "b.jsonl.gz unpacks to more than 200 times its size",
    ),
    refuse(
        "jsonl: a gzip file with more in it than may be",
        rows(gzipped(noise(20_000)), "a.jsonl.gz", max_output_bytes=MEGABYTE),
        "a.jsonl.gz holds more than data.max_output_bytes=1,000,000 bytes",
    ),
    refuse("jsonl: a zstd file that is cut off", rows(zstandard.compress(noise(99))[:-9], "a.jsonl.zst"), "is cut off"),
    refuse("jsonl: a zstd file that is none", rows(GOOD_LINES, "a.jsonl.zst"), "a.jsonl.zst cannot be unpacked"),
    refuse("jsonl: a zstd bomb", rows(zstd_bomb(400), "a.jsonl.zst"), "unpacks to more than 200 times its size"),
    refuse(
        "jsonl: a zstd file that wants 256 MB of memory",
        rows(zstd_with_a_window_of_256_megabytes(), "a.jsonl.zst"),
        "a.jsonl.zst cannot be unpacked",
        "too much memory",
    ),
    refuse(
        "jsonl: a terabyte of nothing",
        rows(b"", make=sparse("b.jsonl", 1 << 40), max_output_bytes=100 * MEGABYTE),
        "b.jsonl holds more than data.max_output_bytes=100,000,000 bytes",
    ),
    refuse("jsonl: a NUL in a path", lambda place: jsonl.Config(path="~\0"), "data.path='~\\x00'"),
    refuse("jsonl: a NUL in a glob", lambda place: jsonl.Config(path="a\0/*.jsonl"), "data.path='a\\x00/*.jsonl'"),
    refuse("jsonl: a column that no line has", table(b"", license_column="licence"), "no line has a field 'licence'"),
    refuse(
        "jsonl: no file of JSON lines", rows(b"", "a.txt"), "there is no .jsonl or .jsonl.gz or .jsonl.zst file in it"
    ),
]
