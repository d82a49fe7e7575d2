"""Documents on disk: written once in order, read back in any order, so that no corpus has to fit into memory.

Where it stands: between cleaning, which yields one document after the other, and everything that has to see all of
them. A store is one file of JSON lines; what is kept in memory is eight bytes a document.
"""

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sprig.data.documents import Document


class StoreWriter:
    """Appends documents to a new file; to be used in a with statement."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._starts = array("q", [0])

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        np.save(self._path.with_suffix(".starts.npy"), np.frombuffer(self._starts, dtype=np.int64))

    def append(self, document: Document) -> None:
        """Write one more."""
        line = json.dumps(document.values()).encode() + b"\n"
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))


class Documents(Sequence[Document]):
    """The documents of a store that numbers names, in that order, each read when it is asked for."""

    def __init__(self, path: Path, numbers: NDArray[np.int64] | None = None) -> None:
        """numbers are places in the store, None is all of them."""
        self.path = path
        self._starts = np.load(path.with_suffix(".starts.npy"), mmap_mode="r")
        self.numbers = np.arange(len(self._starts) - 1) if numbers is None else numbers
        self._file = path.open("rb")

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def bytes(self) -> int:
        """How many of them the store takes for these documents."""
        return int(np.diff(self._starts)[self.numbers].sum())

    def at(self, places: NDArray[np.int64] | list[int]) -> "Documents":
        """Those at these places, in this order."""
        return Documents(self.path, self.numbers[places])

    @overload
    def __getitem__(self, place: int) -> Document: ...
    @overload
    def __getitem__(self, place: slice) -> "Documents": ...
    def __getitem__(self, place: int | slice) -> "Document | Documents":
        if isinstance(place, slice):
            return self.at(np.arange(len(self))[place])
        number = self.numbers[place]
        self._file.seek(self._starts[number])
        line = self._file.read(self._starts[number + 1] - self._starts[number])
        try:
            return Document.of(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path}: its {number + 1:,}th line is damaged. Prepare the data anew.") from error

    def __iter__(self) -> Iterator[Document]:
        return (self[place] for place in range(len(self)))

    def __del__(self) -> None:
        self._file.close()
