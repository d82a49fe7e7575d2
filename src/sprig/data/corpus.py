"""Documents as token ids on disk: what rows are made of. Read through memory maps, so that any size is at hand at once.

A corpus is three arrays: the ids of all documents end to end, each closed by end of text; where each document starts;
and how many tokens of it are its function's header. Where files of a repository are joined, they are one document here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprig.data.documents import Document
from sprig.data.tokenizer import REPOSITORY, CodeTokenizer

_BATCH = 1000  # documents handed to the tokenizer at once: enough for all cores, little enough for memory


@dataclass(frozen=True, slots=True)
class Corpus:
    """N documents of together M tokens."""

    ids: NDArray[np.integer]
    """(M,) 16 or 32 bits each, as the vocabulary needs."""
    starts: NDArray[np.int64]
    """(N + 1,) where each document starts in ids, and at last M."""
    headers: NDArray[np.int32]
    """(N,) tokens of a document that stand before its body; 0 where it has no header."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each document, its end of text included."""
        return np.diff(self.starts)

    @property
    def tokens(self) -> int:
        """M."""
        return int(self.starts[-1])

    def __len__(self) -> int:
        return len(self.headers)

    def save(self, directory: Path, name: str) -> None:
        """Write the arrays to directory/<name>.*.npy."""
        for part in ("ids", "starts", "headers"):
            np.save(directory / f"{name}.{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, directory: Path, name: str) -> "Corpus":
        """Map the arrays of directory/<name>.*.npy into memory."""
        parts = (np.load(directory / f"{name}.{part}.npy", mmap_mode="r") for part in ("ids", "starts", "headers"))
        return cls(*parts)


def id_type(vocab_size: int) -> type[np.unsignedinteger]:
    """The smallest type that holds every id."""
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def encode(documents: Iterable[Document], tokenizer: CodeTokenizer) -> Corpus:
    """The corpus of documents, in memory."""
    ids, lengths, headers = [np.empty(0, id_type(tokenizer.vocab_size))], [0], [0]
    for batch_ids, batch_lengths, batch_headers in _encoded(documents, tokenizer):
        ids.append(batch_ids)
        lengths += batch_lengths
        headers += batch_headers
    return Corpus(np.concatenate(ids), np.cumsum(lengths, dtype=np.int64), np.array(headers[1:], dtype=np.int32))


def encode_to(
    directory: Path,
    name: str,
    documents: Iterable[Document],
    tokenizer: CodeTokenizer,
    *,
    repositories: bool = False,
) -> Corpus:
    """The corpus of documents, written to directory without ever being in memory as a whole.

    With repositories, the documents of a group, which follow each other, are joined as StarCoder2 has it
    (arXiv:2402.19173): <repo_name> group <file_sep> path, newline, text <file_sep> path, newline, text ...
    """
    raw = directory / f"{name}.raw"
    lengths, headers = [0], [0]
    with raw.open("wb") as file:
        for batch_ids, batch_lengths, batch_headers in (_joined if repositories else _encoded)(documents, tokenizer):
            file.write(batch_ids.tobytes())
            lengths += batch_lengths
            headers += batch_headers
    ids = np.memmap(raw, id_type(tokenizer.vocab_size), "r") if raw.stat().st_size else np.empty(0, np.uint16)
    starts, heads = np.cumsum(lengths, dtype=np.int64), np.array(headers[1:], dtype=np.int32)
    Corpus(ids, starts, heads).save(directory, name)
    raw.unlink()
    return Corpus.load(directory, name)


def _encoded(
    documents: Iterable[Document], tokenizer: CodeTokenizer
) -> Iterable[tuple[NDArray[np.integer], list[int], list[int]]]:
    """Ids, lengths and headers of one batch of documents after the other."""
    dtype = id_type(tokenizer.vocab_size)
    remaining = iter(documents)
    while batch := list(islice(remaining, _BATCH)):
        ids: list[int] = []
        lengths, headers = [], []
        encoded = tokenizer.encode_from([each.text for each in batch], [each.header for each in batch])
        for document_ids, header in encoded:
            ids += document_ids
            ids.append(tokenizer.end_of_text)
            lengths.append(len(document_ids) + 1)
            headers.append(header)
        yield np.array(ids, dtype=dtype), lengths, headers


def _joined(
    documents: Iterable[Document], tokenizer: CodeTokenizer
) -> Iterable[tuple[NDArray[np.integer], list[int], list[int]]]:
    """The same for groups of documents as one text each, a group at a time."""
    dtype = id_type(tokenizer.vocab_size)
    name_id, file_id = map(tokenizer.special_id, REPOSITORY)
    for group, files in groupby(documents, lambda document: document.group):
        ids = [name_id, *tokenizer.encode(group)]
        for file in files:
            ids += [file_id, *tokenizer.encode(f"{file.path}\n{file.text}")]
        ids.append(tokenizer.end_of_text)
        yield np.array(ids, dtype=dtype), [len(ids)], [0]
