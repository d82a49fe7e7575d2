"""Reads what an offline run of Weights & Biases has written."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

_BLOCK, _HEADER, _FIRST, _LAST = 2**15, 7, (1, 2), (1, 4)  # LevelDB's log format; a header of 7 bytes stands before


def records(path: Path) -> Iterator[Any]:
    """The records of a run-<id>.wandb, in order."""
    content, place, record = path.read_bytes(), _HEADER, b""
    while place + _HEADER <= len(content):
        if _BLOCK - place % _BLOCK < _HEADER:  # no header fits into the rest of this block
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + _HEADER])
        place += _HEADER
        record = (b"" if kind in _FIRST else record) + content[place : place + length]
        place += length
        if kind in _LAST:
            yield wandb_internal_pb2.Record.FromString(record)
