"""The one door through which generated functions are run: in a process of their own, and judged in ours.

The last step of evaluation: a function that the model wrote goes in with the arguments of some cases; what it
returned, and what it did to its arguments, comes out. The process (`execution_child.py`) is an isolated
interpreter with an empty environment and a temporary folder that is deleted afterwards. It never learns the
expected values: they are computed and compared here, so that exiting early, printing, redefining equality or
patching builtins proves nothing. To pass, the right values have to arrive.

Stopped: endless loops and sleeps (the process group is killed when time is up), large memory, large files,
many open files, floods of output, and, unless we run as root, any thread or further process.

Not stopped, since this is no hardened sandbox: the network; reading, deleting or overwriting any file that
our user may, our environment in /proc among them; many small files until time is up; and, as root, whom
RLIMIT_NPROC does not bind, processes that start a session of their own: they outlive the group, each with its
own limits on CPU time and memory. A sandbox that stops these takes its place later behind `execute`, and
nothing else changes.

Running needs a POSIX system. Elsewhere this module can be imported, and `execute` raises RuntimeError.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args

from sprig.evaluation import execution_child
from sprig.evaluation.execution_child import MAX_SIZE, decode, encode, from_line, to_line

Status = Literal[
    "returned",
    "syntax error",
    "missing function",
    "raised",
    "timed out",
    "killed",  # or gone by itself: no answer came
    "unsupported value",
    "bad answer",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one function may use for all its cases; sizes and counts hold for each process by itself."""

    seconds: float = 2.0
    """Wall time, in which the interpreter also starts (about 20 ms)."""
    cpu_seconds: int = 2
    """A process that takes more is killed, also one that is out of our reach; give it as much as seconds."""
    memory_bytes: int = 256 * 2**20
    """Address space, of which the interpreter takes about 20 MiB."""
    file_bytes: int = 2**20
    open_files: int = 32
    processes: int = 0
    """How many threads and processes our user may have for one more to start; does not bind root."""
    answer_bytes: int = MAX_SIZE
    """All values that come back, as JSON."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Call:
    """What became of one case; value and arguments say something only if the status is "returned"."""

    status: Status
    detail: str
    value: object
    arguments: tuple[object, ...]
    """The arguments after the call, which the function may have changed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a function: "returned" if every case returned, otherwise what went wrong first."""

    status: Status
    detail: str
    """At most 200 printable characters: the exception's type, the signal."""
    calls: tuple[Call, ...] = ()
    """One for each case, in order; none if the process as a whole failed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A generated function and what it is judged by."""

    source: str
    function: str
    cases: Sequence[tuple[object, ...]]
    """The arguments of each call."""
    reference: Callable[..., object]
    """Ours and trusted: it runs in our own process."""


def execute(
    source: str, function: str, cases: Sequence[tuple[object, ...]], limits: Limits = DEFAULT_LIMITS
) -> Outcome:
    """Define what source defines and call the named function on each case, in a process of its own.

    Arguments and values are None, bool, int, float, str, list, tuple, set, dict and SimpleNamespace (an
    object with attributes, such as the self of a method). ValueError if a case holds anything else; never
    raises for what the generated code does.
    """
    if os.name != "posix":
        raise RuntimeError("generated code can only be run on a POSIX system (Linux, macOS)")
    request = {
        "source": source,
        "function": function,
        "cases": [encode(tuple(case)) for case in cases],
        "max_size": limits.answer_bytes,
        "limits": {
            "RLIMIT_CPU": limits.cpu_seconds,
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_NPROC": limits.processes,
            "RLIMIT_CORE": 0,
        },
    }
    line, exit_code = _exchange(to_line(request), limits)
    if line is None:
        return Outcome("timed out", f"no answer within {limits.seconds} s")
    if not line:
        return Outcome("killed", f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}")
    return _outcome(line, len(cases))


def passes(candidate: Candidate, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a function returns what its reference returns, and leaves its arguments so, on every case.

    Equality is Python's, with types kept apart (True, 1 and 1.0 differ) and nan equal to itself. Raises what
    the reference raises, and ValueError if there is no case or a value of the reference cannot travel.
    """
    if not candidate.cases:
        raise ValueError(f"{candidate.function} has no cases to be judged by")
    expected = []
    for case in candidate.cases:
        arguments = decode(encode(tuple(case)))  # a deep copy, and exactly what the other process receives
        value = candidate.reference(*arguments)
        expected.append((decode(encode(value)), arguments))
    outcome = execute(candidate.source, candidate.function, candidate.cases, limits)
    returned = [(call.value, call.arguments) for call in outcome.calls]
    return outcome.status == "returned" and _comparable(returned) == _comparable(expected)


def judge(candidates: Sequence[Candidate], limits: Limits = DEFAULT_LIMITS, workers: int | None = None) -> list[bool]:
    """Say of each candidate whether it passes, as many at a time as there are workers (default: cores)."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:  # threads: they wait for processes
        return list(pool.map(lambda candidate: passes(candidate, limits), candidates))


def _comparable(value: Any) -> object:
    """Turn a decoded value into one whose == keeps types apart and holds between nans."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(_comparable, value))
    if kind is set:
        return kind, frozenset(map(_comparable, value))
    if kind in (dict, SimpleNamespace):
        items = value if kind is dict else vars(value)
        return kind, frozenset((_comparable(key), _comparable(item)) for key, item in items.items())
    return kind, value if value == value else "nan"


def _exchange(request: bytes, limits: Limits) -> tuple[bytes | None, int]:
    """Start the process on a request and end it: its answer, None if time was up, and its exit code."""
    command = [sys.executable, "-I", "-S", "-B", execution_child.__file__]
    deadline = time.monotonic() + limits.seconds
    with tempfile.TemporaryFile() as stdin, _scratch_folder() as folder:
        stdin.write(request)
        stdin.seek(0)
        with subprocess.Popen(  # noqa: S603  # no shell, and a command that nobody else has a word in
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                line = _read_line(process.stdout.fileno(), limits.answer_bytes, deadline)
            finally:
                # Before waiting: until then its number cannot become another's. macOS does not kill the dead.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
    return line, process.returncode


def _read_line(descriptor: int, max_bytes: int, deadline: float) -> bytes | None:
    """Read up to a newline, the end, or more than max_bytes; None if the deadline comes first.

    Waiting for the end alone would not do: a process that the generated code started can hold the pipe open.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    line = b""
    while len(line) <= max_bytes:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        chunk = os.read(descriptor, 2**16)
        head, newline, _ = chunk.partition(b"\n")
        line += head + newline
        if newline or not chunk:
            break
    return line


def _outcome(line: bytes, cases: int) -> Outcome:
    """Read an answer, which may be forged: every part of it is checked."""
    try:
        answer = from_line(line)
        status, detail = _status(answer["status"]), _printable(answer["detail"])
        calls = tuple(_call(*entry) for entry in answer["calls"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Outcome("bad answer", type(error).__name__)
    if len(calls) != (cases if status == "returned" else 0):
        return Outcome("bad answer", f"{len(calls)} calls reported, {cases} asked for")
    failed = next((call for call in calls if call.status != "returned"), None)
    return Outcome(failed.status, failed.detail, calls) if failed else Outcome(status, detail, calls)


def _call(status: object, detail: object, value: object, arguments: object) -> Call:
    after = decode(arguments)
    if type(after) is not tuple:
        raise TypeError("the arguments after a call are a tuple")
    return Call(_status(status), _printable(detail), decode(value), after)


def _status(word: object) -> Status:
    statuses: tuple[Status, ...] = get_args(Status)
    return statuses[statuses.index(word)]  # ValueError for anything else


def _printable(detail: object) -> str:
    """Make safe for a terminal what the generated code has a word in, such as the name of an exception."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(detail)[:200])


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Lend a temporary folder, deleted afterwards whatever was put into it."""
    folder = Path(tempfile.mkdtemp(prefix="sprig-"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()  # nearly always empty, and gone with this
        # Not shutil.rmtree: it recurses, and folders nested a thousand deep would make it raise here.
        for command in (["rm", "-rf"], ["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            if folder.exists():
                subprocess.run([*command, folder], stderr=subprocess.DEVNULL)  # noqa: S603
