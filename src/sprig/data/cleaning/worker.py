"""A program of its own: files in, cleaned documents out, as JSON lines; `sprig.data.cleaning.pool` runs it.

It is a separate process because a hostile or generated file can make the parser take minutes and gigabytes, or
overflow its stack: this one has limits on its memory and its time and can be killed. Nothing slow is imported.

Standard input begins with a line of settings; the worker answers with null, or with a string, the reason why
it cannot work. Then each line is a file, the fields of its Document; the reply is a list of what it came to (documents,
keys, signatures, redactions), or a string: the reason why nothing; or, for a fault of this program, an object that
says which. Where memory or stack ran out, there is no reply: the process ends with the status EXHAUSTED.
"""

import base64
import json
import math
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the package stands three folders above
    sys.path[0] = str(Path(__file__).parents[3])

from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.config import DataConfig
from sprig.data.deduplication import text_key
from sprig.data.documents import Document
from sprig.data.near_duplicates import signature
from sprig.data.reading import Unfit

EXHAUSTED = 3


def answer(cleaner: Cleaner, file: Document) -> list[Any] | str:
    """What the file came to, as plain values: [[fields, key, signature] of each document], redactions by kind."""
    try:
        cleaned = cleaner.clean(file)
    except Unfit as reason:
        return str(reason)
    signed = cleaner.config.near_duplicates is not None
    documents = [
        [
            *document.values(),
            text_key(document.text),
            base64.b64encode(signature(document.text)).decode() if signed else "",
        ]
        for document in cleaned.documents
    ]
    return [documents, cleaned.redacted]


def main() -> None:
    """Answer requests until standard input ends."""
    config = DataConfig(**json.loads(sys.stdin.buffer.readline()))
    try:
        cleaner = Cleaner(config)
    except ValueError as error:
        _write(str(error))
        return
    _limit(config.cleaning_megabytes << 20)  # for files, beyond what is needed to look at any
    _write(None)
    _limit_time(config.cleaning_seconds)
    try:
        for request in sys.stdin.buffer:
            file = Document(*json.loads(request))
            try:
                reply: Any = answer(cleaner, file)
            except (MemoryError, RecursionError, SystemError):
                raise
            except Exception as error:  # of ours, or of a filter's
                reply = {"fault": f"{type(error).__name__}: {error}"}
            _write(reply)
            _limit_time(config.cleaning_seconds)  # now, so that the next file has none of what this one has left
    except (MemoryError, RecursionError, SystemError):  # the last: CPython gh-106905
        os._exit(EXHAUSTED)


def _limit_time(seconds: float) -> None:
    """Be ended by SIGXCPU after so many seconds more of work, to the next whole one; waiting for a turn is none."""
    with suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        wanted = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (wanted if most < 0 else min(wanted, most), most))  # -1 is no limit


def _limit(memory: int) -> None:
    """Take no more than so many bytes of address space than now, and leave no core file."""
    with suppress(OSError, ValueError):  # not every system can set limits; that on time the pool keeps as well
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = memory + pages * resource.getpagesize()  # a library's allocator has reserved a gigabyte
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(reply: Any) -> None:
    sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
