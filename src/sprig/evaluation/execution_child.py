"""The script which the separate process runs: reads a request, calls a generated function, answers in a line.

`execution.py` starts it and imports the encoding from it, so that both sides speak one language. Standard
library only, and little of it: every import is paid again for each function. From the moment that the
generated code runs, nothing in this process can be believed, this file included: the other side checks and
compares.
"""

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

try:
    import resource
except ImportError:  # not a POSIX system: the encoding can still be imported
    resource = None  # type: ignore[assignment]

MAX_DEPTH = 64
"""Values nested deeper than this do not travel; a list that holds itself is one of them."""
MAX_SIZE = 2**16
"""Values of more than about this many characters do not travel.

So few because the numbers in a set can be chosen to collide, and then take the square of their count in time:
0.1 s for the one who reads an answer of this size, half a minute for one of 1 MB.
"""


class UnsupportedValue(ValueError):
    """A value of a type, depth or size that does not travel between the processes."""


def encode(value: object, max_size: int = MAX_SIZE) -> Any:
    """Turn a value into what JSON can hold with types kept apart: True, 1 and 1.0, a tuple and a list.

    None, bool, float and str stand for themselves, all else is a pair [type, content]. Exact types only: a
    subclass brings its own equality along. Raises UnsupportedValue.
    """
    room = max_size  # counted on the way: a few lists, shared, can stand for more than memory holds

    def walk(value: Any, depth: int) -> Any:
        nonlocal room
        kind = type(value)
        room -= len(value) if kind is str else value.bit_length() // 4 if kind is int else 1
        if room < 0:
            raise UnsupportedValue(f"larger than {max_size} characters")
        if depth > MAX_DEPTH:
            raise UnsupportedValue(f"nested deeper than {MAX_DEPTH}")
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:  # in hexadecimal: Python refuses to read or write more than 4300 decimal digits
            return ["int", hex(value)]
        if kind in (list, tuple, set):
            return [kind.__name__, [walk(item, depth + 1) for item in value]]
        if kind in (dict, SimpleNamespace):
            items = value if kind is dict else vars(value)
            return [kind.__name__, [[walk(key, depth + 1), walk(items[key], depth + 1)] for key in items]]
        raise UnsupportedValue(f"unsupported type {kind.__name__}")

    return walk(value, 0)


def decode(encoded: Any, depth: int = 0) -> Any:
    """Turn what `encode` made back into a fresh value; raises ValueError or TypeError for anything else."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if encoded is None or type(encoded) in (bool, float, str):
        return encoded
    kind, content = encoded
    if kind == "int":
        return int(content, 16)
    if kind in ("list", "tuple", "set"):
        items = [decode(item, depth + 1) for item in content]
        return items if kind == "list" else tuple(items) if kind == "tuple" else set(items)
    if kind in ("dict", "SimpleNamespace"):
        mapping = {decode(key, depth + 1): decode(item, depth + 1) for key, item in content}
        return mapping if kind == "dict" else SimpleNamespace(**mapping)
    raise ValueError(f"unknown type {kind!r}")


def to_line(message: Any) -> bytes:
    """Write a message as one line of JSON; surrogates unescaped, since two escapes may be read as one."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def from_line(line: bytes) -> Any:
    """Read a message that `to_line` wrote; raises ValueError or RecursionError for anything else."""
    return json.loads(line.decode("utf-8", "surrogatepass"))


def _call(function: Any, case: Any, max_size: int) -> list[Any]:
    """Call the function on fresh arguments: status, detail, the value, the arguments after the call."""
    arguments = decode(case)
    try:
        value = function(*arguments)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too
        return ["raised", type(error).__name__, None, ["tuple", []]]
    try:
        return ["returned", "", encode(value, max_size), encode(arguments, max_size)]
    except UnsupportedValue as error:
        return ["unsupported value", str(error), None, ["tuple", []]]


def _run(source: str, function: str, cases: list[Any], max_size: int) -> dict[str, Any]:
    """Define the function and call it on each case: a status for all, a detail, an entry for each call."""
    try:
        code = compile(source, "<generated>", "exec", dont_inherit=True)
    except Exception as error:  # ValueError for NUL bytes, RecursionError and MemoryError for nesting
        return {"status": "syntax error", "detail": type(error).__name__, "calls": []}
    namespace: dict[str, Any] = {"__name__": "generated"}  # not "__main__", under whose guard scripts start
    try:
        exec(code, namespace)  # noqa: S102  # the purpose of this process
    except BaseException as error:
        return {"status": "raised", "detail": type(error).__name__, "calls": []}
    if not callable(namespace.get(function)):
        return {"status": "missing function", "detail": function, "calls": []}
    calls = [_call(namespace[function], case, max_size) for case in cases]
    return {"status": "returned", "detail": "", "calls": calls}


def _limit(limits: dict[str, int]) -> None:
    """Lower the limits of this process, by their names in `resource`; one that is lower already stays."""
    for name, bound in limits.items():
        try:
            limit = getattr(resource, name)
            _, hard = resource.getrlimit(limit)
            lower = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(limit, (lower, lower))
        except (AttributeError, ValueError, OSError):
            pass  # unknown to the platform or refused by it (macOS: RLIMIT_AS); the wall time still holds


def main() -> None:
    """Serve the one request on standard input; the answer goes to what was standard output at the start."""
    request = from_line(sys.stdin.buffer.read())
    answer = os.dup(1)
    devnull = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(devnull, descriptor)
    _limit(request["limits"])
    max_size = request["max_size"]
    line = to_line(_run(request["source"], request["function"], request["cases"], max_size))
    if len(line) > max_size:
        detail = f"the answer takes {len(line)} bytes, more than {max_size}"
        line = to_line({"status": "unsupported value", "detail": detail, "calls": []})
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(line)  # the other side kills this process once it has the line


if __name__ == "__main__":
    main()
