"""Files -> cleaned documents, in worker processes that can be killed.

Where it stands: between the sources, whose files it takes, and `sprig.data.collection`. What a worker does is
`sprig.data.cleaning.worker`; this module keeps the workers busy, in order and within their limits, and leaves none
behind.
"""

import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from queue import SimpleQueue
from threading import Event, Lock, Timer
from typing import Any, NamedTuple

from sprig.data.cleaning import worker as worker_program
from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.cleaning.secrets import redact
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips, printable
from sprig.data.worker_processes import ended_by, processors

START_SECONDS = 120.0
"""For a worker to start: it reads a few modules, on a machine that may be busy."""
_PATIENCE = 10  # files in a row on which cleaning fails, after which it is no file's fault
_HANGS = 10.0  # times the seconds that a file may take of a processor, after which a worker does nothing any more
_AHEAD = 8  # files that are asked for, for each worker, before the first of them is needed


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cleaned document, and what tells whether it is a duplicate."""

    document: Document
    key: str
    """Equal for exact duplicates."""
    signature: bytes
    """Alike for near duplicates; empty where nobody asked for it."""
    group: str
    """As the source called it, which redaction may not: what is distinct there stays so in the split."""


def cleaned(
    files: Iterable[Document],
    config: DataConfig,
    skips: Skips,
    redacted: Counter[str],
    *,
    workers: int | None = None,
) -> Generator[Candidate, None, None]:
    """Yield what becomes of files, in their order; what is left out goes to skips, what was replaced to redacted.

    Takes a few files ahead of what it has yielded for each of the workers, so that none of them waits for a slow one.
    None is two more of them than processors: one that hands over a file waits until it has the next. ValueError if the
    settings name what there is not.
    """
    cleaner = Cleaner(config)
    if cleaner.harmless:
        for file in files:
            yield from _candidates(file, worker_program.answer(cleaner, file), skips, redacted)
        return
    count = workers or processors() + 2
    everyone = [_Worker(config) for _ in range(count)]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in everyone:
        idle.put(worker)

    def ask(file: Document) -> list[Any] | str | _Fault:
        worker = idle.get()
        try:
            return worker.ask(file)
        finally:
            idle.put(worker)

    asked: deque[tuple[Document, Future[list[Any] | str | _Fault]]] = deque()
    faults = 0  # in a row

    def answered() -> Iterator[Candidate]:
        nonlocal faults
        file, future = asked.popleft()
        reply = future.result()
        if not isinstance(reply, _Fault):
            faults = 0
            yield from _candidates(file, reply, skips, redacted)
            return
        faults += 1
        if faults == _PATIENCE:
            last = printable(redact(file.path)[0])
            raise RuntimeError(f"Cleaning failed on {faults} files in a row, the last of them {last}: {reply.what}")
        skips.add("cleaning failed", file.path)

    threads = ThreadPoolExecutor(count)  # each waits for one worker
    try:
        for file in files:
            if len(asked) == _AHEAD * count:
                yield from answered()
            asked.append((file, threads.submit(ask, file)))
        while asked:
            yield from answered()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in everyone:
            worker.stop()
        threads.shutdown()


def _candidates(file: Document, reply: list[Any] | str, skips: Skips, redacted: Counter[str]) -> Iterator[Candidate]:
    if isinstance(reply, str):
        skips.add(reply, file.path)
        return
    documents, replaced = reply
    redacted.update(replaced)
    for *values, key, signature in documents:
        yield Candidate(Document(*values), key, base64.b64decode(signature), file.group)


class _Fault(NamedTuple):
    """What went wrong with a file in the program and not in the file."""

    what: str


class _Worker:
    """A cleaning process with one file at a time: started when needed, and anew after a file that ended it."""

    def __init__(self, config: DataConfig) -> None:
        shared = {each.name: getattr(config, each.name) for each in fields(DataConfig)}
        self._settings = json.dumps(shared).encode() + b"\n"
        self._seconds = config.cleaning_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._stopped = False

    def ask(self, file: Document) -> list[Any] | str | _Fault:
        """Hand over a file, and wait for what becomes of it or for the reason why nothing does."""
        for _ in range(2):
            process = self._running()
            with _limited(process, self._seconds * _HANGS) as late:
                line = _exchange(process, json.dumps(file.values()).encode() + b"\n")
            if line.endswith(b"\n"):  # though it may be late: it was done, and this process slept
                reply: list[Any] | str | dict[str, str] = json.loads(line)
                return _Fault(printable(redact(reply["fault"])[0])) if isinstance(reply, dict) else reply
            status = process.wait()
            if late.is_set() or status == -signal.SIGXCPU:
                return f"takes over {self._seconds:g} s to clean"
            if status != -signal.SIGKILL:
                # Another signal: the parser overflowed the stack.
                exhausted = status == worker_program.EXHAUSTED or status < 0
                return "too large or too deeply nested to parse" if exhausted else _Fault(f"status {status}")
        # Once may have been for the memory that others took, or for an answer that came as its time was up.
        return "ended by the system as it was cleaned, twice"

    def stop(self) -> None:
        """End the process, whatever it is doing, for good; nobody waits for its answer any longer. From any thread."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _end(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                if self._process is not None:
                    _close(self._process)
                if self._stopped:
                    raise RuntimeError("a worker was asked after it had been stopped")
                self._process = self._start()
            return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and script
            # A warning made an error would be one of a file's: whoever runs this may have asked for that.
            [sys.executable, "-B", "-W", "ignore", worker_program.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},  # threads take address space
            start_new_session=True,  # Ctrl-C is for the run, which then stops its workers
        )
        with _limited(process, START_SECONDS) as late:
            greeting = _exchange(process, self._settings)
        if greeting != b"null\n":
            status = process.wait()
            if status < 0 and not late.is_set():
                raise ended_by(status, "cleans files")
            why = f"in {START_SECONDS:g} s" if late.is_set() else f"status {status}"
            raise RuntimeError(f"{sys.executable} does not run {worker_program.__file__}, {why}")
        return process


@contextmanager
def _limited(process: subprocess.Popen[bytes], seconds: float) -> Iterator[Event]:
    """Kill process, which ends every wait for it, once the block has taken so long; the event tells that it did."""
    late = Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """Write a line and wait for the one that comes back; empty, or cut short, if the process ends before."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):  # it ended meanwhile, as is seen next
        process.stdin.write(line)
        process.stdin.flush()
    return process.stdout.readline()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdout.close()
    with suppress(BrokenPipeError):  # closing writes what is left
        process.stdin.close()
