"""Datasets of the Hub, in folders: `datasets` reads them."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bad_input.files import SMALL, link, pipe, written
from bad_input.jsonl import GOOD_LINES, gzip_bomb, gzipped, line, two_links_to_here
from bad_input.parquet import parquet_with_a_text_of
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.documents import Skips
from sprig.data.sources import hub


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


ROWS = [
    skip("hub: a row without text", dataset("a.jsonl", GOOD_LINES + line({"content": None})), "row without text"),
    skip("hub: a NUL", dataset("a.jsonl", GOOD_LINES + line({"content": "x\0"})), "binary file"),
    skip("hub: a text of white space", dataset("a.jsonl", GOOD_LINES + line({"content": "\n"})), "empty file"),
    skip(
        "hub: a text over the limit",
        dataset("a.jsonl", GOOD_LINES + line({"content": "x" * 999}), max_text_bytes=900),
        "text over 900 bytes",
    ),
    skip("hub: a pipe", dataset("a.jsonl", GOOD_LINES, pipe("b.jsonl")), "not a regular file"),
    skip("hub: a link to a device", dataset("a.jsonl", GOOD_LINES, link("/dev/zero", "b.jsonl")), "link"),
    skip(
        "hub: a link out of the folder",
        dataset(
            "a.jsonl",
            GOOD_LINES,
            lambda root: (written(root.parent / "o.jsonl", GOOD_LINES), link("../o.jsonl", "b.jsonl")(root)),
        ),
        "link",
    ),
    skip("hub: two links to here", dataset("a.jsonl", GOOD_LINES, two_links_to_here), "link", count=2),
    normalise("hub: CRLF", dataset("a.jsonl", GOOD_LINES + line({"content": "x\r\n"})), "x\n"),
    refuse("hub: a line that is cut off", dataset("a.jsonl", GOOD_LINES + b'{"content": "x'), "it cannot be read"),
    refuse("hub: an integer of 5,000 digits", dataset("a.jsonl", b'{"content": ' + b"1" * 5000 + b"}"), "data.name="),
    refuse("hub: a gzip file that is cut off", dataset("a.jsonl.gz", gzipped(GOOD_LINES)[:-9]), "it cannot be read"),
    refuse("hub: a gzip bomb", dataset("a.jsonl.gz", gzip_bomb(700)), "a.jsonl.gz is packed", "data=jsonl"),
    refuse("hub: a gzip bomb of another ending", dataset("a.jsonl.foo", gzip_bomb(700)), "a.jsonl.foo is packed"),
    refuse(
        "hub: one text of 300 MB",
        dataset("a.parquet", lambda path: parquet_with_a_text_of(300, path)),
        "a.parquet: 'content' unpacks to more than 200 times its size",
    ),
    refuse(
        "hub: a description that leads out of the folder",
        dataset("a.jsonl", GOOD_LINES, link("../outside/secret.py", "README.md")),
        "README.md in it must be a regular file",
    ),
    refuse("hub: a NUL in a name", lambda place: hub.Config(name="a\0b"), "data.name='a\\x00b': it cannot be read"),
    refuse("hub: a Parquet file that is none", dataset("a.parquet", b"PAR1 not at all PAR1"), "it cannot be read"),
    refuse("hub: numbers for texts", dataset("a.jsonl", line({"content": 7})), "'content' has no text in it, but int"),
    refuse("hub: no such column", dataset("a.jsonl", line({"contents": "x"})), "has no column 'content'"),
    refuse("hub: no such split", dataset("a.jsonl", GOOD_LINES, split="tran"), "split tran: it cannot be read"),
    refuse("hub: nothing that is data", dataset("a.bin", b"\0"), "it cannot be read"),
    refuse("hub: a program", dataset("data.py", b"raise SystemExit('it was run')"), "it cannot be read"),
]
