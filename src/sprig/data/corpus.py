"""Documents as token ids on disk: what rows are made of. Read through memory maps, so that any size is at hand at once.

A corpus is three arrays: the ids of all documents end to end, each closed by end of text; where each document starts;
and how many tokens of it are its function's header. Where files of a repository are joined, they are one document here.
"""

import json
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprig.data import encoding_worker
from sprig.data.documents import Document, printable
from sprig.data.store import Documents
from sprig.data.tokenizer import END_OF_TEXT, REPOSITORY, SPECIAL_TOKENS, CodeTokenizer
from sprig.data.worker_processes import ended_by, processors

SILENCE = 300.0
"""Seconds after which a process that has written nothing counts as hung: a document takes a thousandth of one."""
_GLANCE = 0.1  # seconds
_MANY = 5_000_000  # bytes of documents from which on more than one process pays


@dataclass(frozen=True, slots=True)
class Corpus:
    """N documents of together M tokens."""

    ids: NDArray[np.integer]
    """(M,) 16 or 32 bits each, as the vocabulary needs."""
    starts: NDArray[np.int64]
    """(N + 1,) where each document starts in ids, and at last M."""
    headers: NDArray[np.int32]
    """(N,) tokens of a document that stand before its body; 0 where it has no header."""
    opening: int = SPECIAL_TOKENS.index(END_OF_TEXT)
    """The id that rows open with."""

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

    def part(self, first: int, last: int) -> "Corpus":
        """The documents from first on and before last; their ids are read now where they stand in an object store."""
        starts = self.starts[first : last + 1]
        return Corpus(self.ids[starts[0] : starts[-1]], starts - starts[0], self.headers[first:last], self.opening)

    def save(self, directory: Path, name: str) -> None:
        """Write the arrays to directory/<name>.*.npy."""
        for part in ("ids", "starts", "headers"):
            np.save(directory / f"{name}.{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, directory: Path, name: str, opening: int) -> "Corpus":
        """Map the arrays of directory/<name>.*.npy into memory."""
        ids, starts, headers = (
            np.load(directory / f"{name}.{part}.npy", mmap_mode="r") for part in ("ids", "starts", "headers")
        )
        return cls(ids, starts, headers, opening)


def encode(documents: Iterable[Document], tokenizer: CodeTokenizer, *, repositories: bool = False) -> Corpus:
    """The corpus of documents, in memory; repositories as for `encode_to`."""
    ids, lengths, headers = [np.empty(0, tokenizer.id_type)], [0], list[int]()
    for document_ids, header in (_joined if repositories else _alone)(documents, tokenizer):
        ids.append(document_ids)
        lengths.append(len(document_ids))
        headers.append(header)
    starts = np.cumsum(lengths, dtype=np.int64)
    return Corpus(np.concatenate(ids), starts, np.array(headers, dtype=np.int32), tokenizer.opening)


def encode_to(
    directory: Path, name: str, documents: Documents, tokenizer: CodeTokenizer, *, repositories: bool = False
) -> Corpus:
    """The corpus of documents, written to directory without ever being in memory as a whole.

    With repositories, the documents of a group, which follow each other, are joined as StarCoder2 has it
    (arXiv:2402.19173): <repo_name> group <file_sep> path, newline, text <file_sep> path, newline, text ...
    Otherwise many documents are shared out to as many processes as there are processors.
    """
    count = processors() if not repositories and documents.bytes >= _MANY else 1
    parts = [directory / f"{name}.part{number}" for number in range(count)]
    if count == 1:
        write_part(parts[0], documents, tokenizer, repositories=repositories)
    else:
        tokenizer.save(directory)
        numbers = np.array_split(documents.numbers, count)
        _in_processes([(documents.path, part, mine) for part, mine in zip(parts, numbers, strict=True)])
    lengths = np.concatenate([np.load(part.with_suffix(f"{part.suffix}.lengths.npy")) for part in parts])
    headers = np.concatenate([np.load(part.with_suffix(f"{part.suffix}.headers.npy")) for part in parts])
    starts = np.concatenate(([0], np.cumsum(lengths)))
    with (directory / f"{name}.ids.npy").open("wb") as whole:
        dtype = np.dtype(tokenizer.id_type)
        about = {"descr": dtype.str, "fortran_order": False, "shape": (int(starts[-1]),)}
        np.lib.format.write_array_header_1_0(whole, about)
        for part in parts:
            with part.open("rb") as ids:
                shutil.copyfileobj(ids, whole)
    np.save(directory / f"{name}.starts.npy", starts)
    np.save(directory / f"{name}.headers.npy", headers)
    for file in directory.glob(f"{name}.part*"):
        file.unlink()
    return Corpus.load(directory, name, tokenizer.opening)


def write_part(
    path: Path, documents: Iterable[Document], tokenizer: CodeTokenizer, *, repositories: bool = False
) -> None:
    """Write ids to path, without a header, and lengths and headers beside it."""
    lengths, headers = array("q"), array("i")
    with path.open("wb") as file:
        for ids, header in (_joined if repositories else _alone)(documents, tokenizer):
            file.write(ids.tobytes())
            lengths.append(len(ids))
            headers.append(header)
    np.save(path.with_suffix(f"{path.suffix}.lengths.npy"), np.array(lengths, dtype=np.int64))
    np.save(path.with_suffix(f"{path.suffix}.headers.npy"), np.array(headers, dtype=np.int32))


def _in_processes(shares: list[tuple[Path, Path, NDArray[np.int64]]]) -> None:
    """Run `sprig.data.encoding_worker` for each (store, part, numbers)."""
    running = []
    try:
        for store, part, numbers in shares:
            np.save(part.with_suffix(f"{part.suffix}.numbers.npy"), numbers)
            command = [sys.executable, "-B", encoding_worker.__file__, str(store), str(part)]
            running.append(
                subprocess.Popen(  # noqa: S603  our own script
                    command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
                )
            )
        _wait(running, [part for _, part, _ in shares])
    finally:
        for process in running:
            with process:  # closes its pipe
                process.kill()


def _wait(running: list[subprocess.Popen[bytes]], parts: list[Path]) -> None:
    """Wait for processes that write parts to end; OSError as soon as one does not do well or writes no more.

    RuntimeError where it is a fault of the program.
    """
    seen = [(0, time.monotonic())] * len(running)  # the size of a part, and since when it has had it
    while waiting := [number for number, process in enumerate(running) if process.returncode is None]:
        for number in waiting:
            with suppress(subprocess.TimeoutExpired):
                status = running[number].wait(_GLANCE)
                if status > 0:
                    raise _failure(running[number])
                if status < 0:
                    raise ended_by(status, "encodes documents")
                continue
            size, now = parts[number].stat().st_size if parts[number].exists() else 0, time.monotonic()
            if size != seen[number][0]:
                seen[number] = (size, now)
            elif now - seen[number][1] > SILENCE:
                raise OSError(f"A process that encodes documents has written nothing for {SILENCE:g} s: try again.")


def _failure(process: subprocess.Popen[bytes]) -> Exception:
    """The error that a process of ours ended with, as it said itself."""
    assert process.stdout is not None
    try:
        of_system, words, trace = json.loads(process.stdout.read())
    except ValueError:
        of_system, words, trace = None, f"status {process.returncode}", ""
    said = f"A process that encodes documents failed: {printable(words)}"
    error = OSError(*of_system) if of_system else RuntimeError(said)
    error.add_note(trace)  # which debug=traceback shows
    return error


_Encoded = Iterator[tuple[NDArray[np.unsignedinteger], int]]


def _alone(documents: Iterable[Document], tokenizer: CodeTokenizer) -> _Encoded:
    """Ids of each document, closed by end of text, and how many stand before its body."""
    end = np.array([tokenizer.end_of_text], tokenizer.id_type)
    for ids, header in tokenizer.encode_from((document.text, document.header) for document in documents):
        yield np.concatenate((ids, end)), header


def _joined(documents: Iterable[Document], tokenizer: CodeTokenizer) -> _Encoded:
    """The same for groups of documents that follow each other, each as one text."""
    marks = (*map(tokenizer.special_id, REPOSITORY), tokenizer.end_of_text)
    name, start, end = (np.array([id], tokenizer.id_type) for id in marks)
    for group, files in groupby(documents, lambda document: document.group):
        ids = [name, next(tokenizer.encode_all([group]))]
        for of_file in tokenizer.encode_all(f"{file.path}\n{file.text}" for file in files):
            ids += [start, of_file]
        yield np.concatenate([*ids, end]), 0
