"""Files -> cleaned documents, in worker processes that can be killed.

Where it stands: between the sources, whose files it takes, and `sprig.data.preparation`. What a worker does is
`sprig.data.cleaning.worker`; this module keeps the workers busy, in order and within their limits, and leaves none
behind.
"""

import base64
import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, fields
from itertools import cycle
from typing import Any

from sprig.data.cleaning import worker as worker_program
from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips

SECONDS = 10.0
"""By the clock, for one file: a dense megabyte of Python takes 3 to parse."""
MEMORY = 1 << 30
"""Bytes of address space that one worker may take beyond those it starts with."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cleaned document, and what tells whether it is a duplicate."""

    document: Document
    key: str
    """Equal for exact duplicates."""
    signature: bytes
    """Alike for near duplicates; empty where nobody asked for it."""


def cleaned(
    files: Iterable[Document],
    config: DataConfig,
    skips: Skips,
    redacted: Counter[str],
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
    workers: int | None = None,
) -> Generator[Candidate, None, None]:
    """Yield what becomes of files, in their order; what is left out goes to skips, what was replaced to redacted.

    Takes files only as many ahead of what it has yielded as there are workers (None: one a processor). ValueError if
    the settings name what there is not.
    """
    cleaner = Cleaner(config)
    if cleaner.harmless:
        for file in files:
            yield from _candidates(file, worker_program.answer(cleaner, file), skips, redacted)
        return
    count = workers or os.cpu_count() or 1
    busy: deque[tuple[Document, _Worker]] = deque()
    with ExitStack() as stack:
        pool = [_Worker(config, seconds, memory) for _ in range(count)]
        for worker in pool:
            stack.callback(worker.stop)
        for file, worker in zip(files, cycle(pool), strict=False):
            if len(busy) == count:
                yield from _answer(*busy.popleft(), skips, redacted)
            worker.send(file)
            busy.append((file, worker))
        while busy:
            yield from _answer(*busy.popleft(), skips, redacted)


def _answer(file: Document, worker: "_Worker", skips: Skips, redacted: Counter[str]) -> Iterator[Candidate]:
    return _candidates(file, worker.receive(), skips, redacted)


def _candidates(file: Document, reply: list[Any] | str, skips: Skips, redacted: Counter[str]) -> Iterator[Candidate]:
    if isinstance(reply, str):
        skips.add(reply, file.path)
        return
    documents, replaced = reply
    redacted.update(replaced)
    for *values, key, signature in documents:
        yield Candidate(Document(*values), key, base64.b64decode(signature))


class _Worker:
    """A cleaning process with one file at a time: started when needed, and anew after a file that ended it."""

    def __init__(self, config: DataConfig, seconds: float, memory: int) -> None:
        shared = {each.name: getattr(config, each.name) for each in fields(DataConfig)}
        self._settings = json.dumps(shared | {"memory": memory}).encode() + b"\n"
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    def send(self, file: Document) -> None:
        """Hand over a file, whose time starts now."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = self._start()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended meanwhile, and receive says so
            self._process.stdin.write(json.dumps(astuple(file)).encode() + b"\n")
            self._process.stdin.flush()
        self._deadline = time.monotonic() + self._seconds

    def receive(self) -> list[Any] | str:
        """Wait for what becomes of the file that was sent, or for the reason why nothing does."""
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                self.stop()
                return f"takes over {self._seconds:g} s to clean"
        line = self._process.stdout.readline()  # all of it is on its way once it begins
        if line.endswith(b"\n"):
            reply: list[Any] | str = json.loads(line)
            return reply
        status = self._process.wait()
        self.stop()
        # A negative status is a signal: the parser overflowed the stack, or the system had no memory left.
        exhausted = status == worker_program.EXHAUSTED or status < 0
        return "too large or too deeply nested to parse" if exhausted else "cleaning failed"

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is None:
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):  # closing writes what is left
            self._process.stdin.close()
        self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and script
            [sys.executable, "-B", worker_program.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where the parser warns of what it reads
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},  # threads take address space
            start_new_session=True,  # Ctrl-C is for the run, which then stops its workers
        )
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # it does not run, as is seen next
            process.stdin.write(self._settings)
            process.stdin.flush()
        if process.stdout.readline() != b"null\n":
            raise RuntimeError(f"{sys.executable} does not run {worker_program.__file__}, status {process.wait()}")
        return process
