"""Python text -> its functions, parsed in worker processes that can be killed.

Where it stands: between `sprig.data.reading`, whose texts it takes, and the sources that make a document of
each function. What a worker does is `sprig.data.functions_worker`; this module keeps the workers busy, in
order and within their limits, and leaves none behind.
"""

import json
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import cycle

from sprig.data import functions_worker
from sprig.data.documents import Skips

_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method of a file."""

    name: str
    """Qualified: "join", "Path.open"."""
    text: str
    """From the first decorator to the last line, without the indentation that a method has."""
    header: int
    """Length in characters of text up to the colon that ends the def, decorators and colon included."""


def functions_of(
    files: Iterable[tuple[str, str]], skips: Skips, *, seconds: float = 10.0, memory: int = 1 << 30
) -> Generator[tuple[str, list[Function]], None, None]:
    """Yield (path, functions) for each (path, text) of files that parses, in order; the others go to skips.

    Texts are as `read_source` returns them. Parsing one of them may take so many seconds by the clock (a
    dense megabyte takes 3) and so many bytes of address space. Takes files two ahead of what it has yielded.
    """
    busy: deque[tuple[str, _Worker]] = deque()
    with ExitStack() as stack:
        workers = [_Worker(seconds, memory) for _ in range(_WORKERS)]
        for worker in workers:
            stack.callback(worker.stop)
        for (path, text), worker in zip(files, cycle(workers), strict=False):
            if len(busy) == _WORKERS:
                yield from _answer(*busy.popleft(), skips)
            worker.send(text)
            busy.append((path, worker))
        while busy:
            yield from _answer(*busy.popleft(), skips)


def _answer(path: str, worker: "_Worker", skips: Skips) -> Iterator[tuple[str, list[Function]]]:
    reply = worker.receive()
    if isinstance(reply, str):
        skips.add(reply, path)
    else:
        yield path, reply


class _Worker:
    """A parsing process with one text at a time: started when needed, and anew after a text that ended it."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    def send(self, text: str) -> None:
        """Hand over a text, whose time starts now."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = self._start()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended meanwhile, and receive says so
            self._process.stdin.write(json.dumps(text).encode() + b"\n")
            self._process.stdin.flush()
        self._deadline = time.monotonic() + self._seconds

    def receive(self) -> list[Function] | str:
        """Wait for the functions of the text that was sent, or the reason why there are none."""
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                self.stop()
                return f"takes over {self._seconds:g} s to parse"
        line = self._process.stdout.readline()  # all of it is on its way once it begins
        if line.endswith(b"\n"):
            reply = json.loads(line)
            return reply if isinstance(reply, str) else [Function(*function) for function in reply]
        status = self._process.wait()
        self.stop()
        # A negative status is a signal: the parser overflowed the stack, or the system had no memory left.
        exhausted = status == functions_worker.EXHAUSTED or status < 0
        return "too large or too deeply nested to parse" if exhausted else "parser failed"

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
            [sys.executable, "-I", "-S", "-B", functions_worker.__file__, str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where the parser warns of what it reads
            start_new_session=True,  # Ctrl-C is for the run, which then stops its workers
        )
        assert process.stdout is not None
        if process.stdout.readline() != b"\n":
            raise RuntimeError(f"{sys.executable} does not run {functions_worker.__file__}, status {process.wait()}")
        return process
