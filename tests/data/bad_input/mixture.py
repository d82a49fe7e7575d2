"""Mixtures, and what is bad in their parts."""

from pathlib import Path
from typing import Any

from bad_input.files import FEW, MANY, SMALL, code, pipe, written
from bad_input.jsonl import gzip_bomb, rows, table
from bad_input.parquet import columns, damaged_parquet
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import mixture

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


GOOD_PART = {"source": "folder", "path": "."}
ROWS = [
    skip("mixture: a bad file in a part", mixed(build=code({"bad.py": b"\xff"})), "not UTF-8", good=[*FEW, OTHER]),
    skip(
        "mixture: a broken line in a part",
        mixed(build=table(b"oops\n")),
        "broken line: not JSON",
        good=[*MANY, OTHER],
    ),
    skip(
        "mixture: a pipe in a part",
        mixed(build=columns(make=pipe("b.parquet"))),
        "not a regular file",
        good=[*MANY, OTHER],
    ),
    normalise("mixture: CRLF in a part", mixed(build=code({"bad.py": b"x\r\n"})), "x\n", good=[*FEW, OTHER]),
    refuse("mixture: no parts", no_parts, "data=mixture needs its parts"),
    refuse("mixture: a part that is a word", mixed("folder"), "data.parts, part 2: a part is a mapping"),
    refuse("mixture: no such source", mixed({"source": "cloud"}), "part 2: data.source='cloud' is no source"),
    refuse("mixture: no such setting", mixed({**GOOD_PART, "pth": "x"}), "part 2: data.pth is no setting"),
    refuse("mixture: a number for a path", mixed({"source": "folder", "path": 7}), "data.path=7 is of the wrong type"),
    refuse("mixture: a weight that is no number", mixed({**GOOD_PART, "weight": float("nan")}), "part 2: weight=nan"),
    refuse("mixture: a mixture in it", mixed({"source": "mixture"}), "part 2: a mixture is no part of a mixture"),
    refuse(
        "mixture: a part that is not there", mixed({"source": "folder", "path": "/nowhere"}), "data.parts, part 2: "
    ),
    refuse(
        "mixture: a bomb in a part", mixed(build=rows(gzip_bomb(200), "a.jsonl.gz")), "data.parts, part 2: a.jsonl.gz"
    ),
    refuse(
        "mixture: a Parquet file that is none", mixed(build=damaged_parquet(lambda d: d[:9])), "part 2: a.parquet is no"
    ),
]
