"""A folder of prepared data: the cache's own, one that came from another machine, or one at an address of fsspec's.

Where it stands: between `sprig.data.cache` and the rows. Of what is far away, all is fetched once but the training
side's tokens and text: tokens are read shard by shard as training comes to them, text is not read. Others may have
made it, so nothing in it is believed: shapes are checked, ids are looked at before they are used.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from sprig.data import cache, facts
from sprig.data.corpus import Corpus
from sprig.data.store import Documents
from sprig.data.tokenizer import CodeTokenizer

_TEXT, _TOKENS = "documents.jsonl", "train.ids.npy"
_FETCHED = (
    *(facts.FILE, "tokenizer.json", "val.documents.jsonl", "val.documents.starts.npy"),
    *("val.ids.npy", "val.starts.npy", "val.headers.npy", "train.starts.npy", "train.headers.npy"),
)
_HERE = (*_FETCHED, _TOKENS, _TEXT, "documents.starts.npy", "train.npy")


@dataclass(frozen=True)
class PreparedFolder:
    """A folder of this machine that has everything but what is read from where it is."""

    folder: Path
    tokens: Any
    """The ids of the training side, which give an array where a slice is taken of them."""
    has_text: bool
    """Whether the training side's text is at hand."""

    @classmethod
    def here(cls, folder: Path) -> "PreparedFolder":
        """The folder as it is."""
        return cls(folder, np.load(folder / _TOKENS, mmap_mode="r"), has_text=True)

    @classmethod
    def at(cls, path: str, cache_dir: Path) -> "PreparedFolder":
        """The folder at a path or an address; what is fetched of it goes to cache_dir.

        ValueError, in one or two lines, where it is no prepared data, not all of it, or not within reach.
        """
        if "://" not in path:
            folder = Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises for an unknown user)
            if not cache.is_whole(folder, _HERE):
                raise ValueError(
                    f"data.path={path} is no prepared data, or not all of it: prepare.py names such a folder."
                )
            return cls.here(folder)
        try:
            place = _Place(*fsspec.core.url_to_fs(path))
            manifest = place.read("manifest.json")
            known = json.loads(manifest)
            if not isinstance(known, dict) or not {*_FETCHED, _TOKENS} <= known.keys():
                raise ValueError("its manifest names no prepared data")
            name = f"prepared-{hashlib.sha256(path.encode() + manifest).hexdigest()[:20]}"
            folder, _ = cache.entry(cache_dir, name, lambda directory: _fetch(place, known, directory))
            return cls(folder, _FarTokens(place), has_text=False)
        except Exception as error:  # of the many that read far places there is no base
            reason = str(error) or type(error).__name__
            raise ValueError(f"data.path={path} cannot be read as prepared data: {reason}") from error

    def corpus(self, side: str, tokenizer: CodeTokenizer) -> Corpus:
        """The tokens of a side, train or val; ValueError where its arrays do not fit together."""
        starts, headers = (np.load(self.folder / f"{side}.{part}.npy") for part in ("starts", "headers"))
        ids = self.tokens if side == "train" else np.load(self.folder / "val.ids.npy", mmap_mode="r")
        fits = (
            (starts.dtype, headers.dtype) == (np.int64, np.int32)
            and ids.dtype in (np.uint16, np.uint32)
            and starts.ndim == 1
            and headers.shape == (len(starts) - 1,)
            and len(headers) > 0
            and (starts[0], starts[-1]) == (0, len(ids))
            and bool((np.diff(starts) > 0).all() and (headers >= 0).all() and (headers < np.diff(starts)).all())
        )
        if not fits:
            raise ValueError(f"{self.folder}: the {side} side is damaged. Prepare the data anew.")
        checked: Any = _Checked(ids, tokenizer.vocab_size)
        corpus = Corpus(checked, starts, headers, tokenizer.opening)
        return corpus if side == "train" else corpus.part(0, len(corpus))

    def train_documents(self) -> Documents | None:
        """The training side's documents, where their text is at hand; ValueError where they do not fit together."""
        return self._documents(_TEXT, np.load(self.folder / "train.npy")) if self.has_text else None

    def val_documents(self) -> Documents:
        """Those that are held out; ValueError likewise."""
        return self._documents("val.documents.jsonl", None)

    def _documents(self, name: str, numbers: NDArray[Any] | None) -> Documents:
        path = self.folder / name
        starts = np.load(path.with_suffix(".starts.npy"), mmap_mode="r")
        fits = (
            (starts.dtype, starts.ndim) == (np.int64, 1)
            and len(starts) > 0
            and (starts[0], starts[-1]) == (0, path.stat().st_size)
            and bool((np.diff(starts) > 0).all())
        )
        if numbers is not None and fits:
            within = numbers.dtype == np.int64 and numbers.ndim == 1 and (numbers >= 0) & (numbers < len(starts) - 1)
            fits = bool(np.all(within))
        if not fits:
            raise ValueError(f"{path} and the arrays beside it do not fit together. Prepare the data anew.")
        return Documents(path, numbers)


@dataclass(frozen=True)
class _Place:
    files: Any
    root: str

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes of a file from start on and before end."""
        data: bytes = self.files.cat_file(f"{self.root}/{name}", start=start, end=end)
        return data

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file."""
        self.files.get_file(f"{self.root}/{name}", str(to))


def _fetch(place: _Place, manifest: dict[str, Any], directory: Path) -> None:
    for name in _FETCHED:
        place.fetch(name, directory / name)
        if cache.seal(directory / name) != manifest[name]:
            raise ValueError(f"{name} is not as its manifest has it: copy the folder again")


class _FarTokens:
    """An array in a file far away, of which slices are read."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        with place.files.open(f"{place.root}/{_TOKENS}", "rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError(f"{_TOKENS} is of another format")
            (self._length,), _, self.dtype = np.lib.format.read_array_header_1_0(file)
            self._begin = file.tell()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        start, stop, _ = wanted.indices(self._length)
        first, last = (self._begin + number * self.dtype.itemsize for number in (start, stop))
        return np.frombuffer(self._place.read(_TOKENS, first, last), self.dtype)


class _Checked:
    """Ids that are looked at when they are taken: none may be outside of the vocabulary."""

    def __init__(self, ids: Any, vocab_size: int) -> None:
        self._ids, self._vocab_size = ids, vocab_size
        self.dtype = ids.dtype

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        ids: NDArray[Any] = self._ids[wanted]
        if len(ids) and int(ids.max()) >= self._vocab_size:
            raise ValueError("Prepared tokens are not of the tokenizer beside them. Prepare the data anew.")
        return ids
