"""Processes that are started and waited for, and what passes between them and who started them: signals, reasons, ends.

Nothing slow is imported.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import NamedTuple

from sprig.config import multirun
from sprig.config.ranks import launched, silent
from sprig.config.run_directory import COMMAND, command_as_typed

_REASON = "SPRIG_REASON"
"""The environment's name for the descriptor to which a process says why it failed."""
_HEARD, _UNHEARD = "+", "-"
"""What a reason begins with, by whether the process has put it on the terminal as well."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_INTERRUPTED = [128 + number for number in _SIGNALS]
_OTHER_LAUNCHERS = ("SLURM_N", "TORCHELASTIC_", "GROUP_", "ROLE_", "LOCAL_WORLD_SIZE", "NODE_RANK")
"""Variables that would have a process of ours look for one of theirs."""
_GRACE = 20.0  # seconds for the others to end by themselves once one has failed


class End(NamedTuple):
    """How processes have ended."""

    number: int
    """Of the first that failed; 0 where none did."""
    code: int
    """Its exit code, or minus the signal that ended it; 0 where none failed."""
    signal: int
    """The last that came to who started them and was handed on; 0 where none did."""
    said: str
    """The reason that one gave first."""
    unheard: bool = False
    """Whether none of those that gave one has put it on the terminal."""

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped it, in order or before it came to heed any."""
        return self.code in _INTERRUPTED


def run(command: list[str], count: int) -> End:
    """Run command in count processes, which torch.distributed takes for a group, to their end."""
    reasons, reason = os.pipe()
    own = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count),
        COMMAND: command_as_typed(),
        _REASON: str(reason),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith(_OTHER_LAUNCHERS)}
    children = [
        # In a session of its own no process gets a terminal's Ctrl-C twice: all signals come from here.
        subprocess.Popen(  # noqa: S603  # our own command line, once more
            command,
            env=others | own | {"RANK": str(number), "LOCAL_RANK": str(number)},
            stdin=subprocess.PIPE,
            pass_fds=[reason],
            start_new_session=True,
        )
        for number in range(count)
    ]
    os.close(reason)
    number, code, handed_on = _wait(children)
    said = _said(reasons)
    return End(number, code, handed_on, said[0][1:], said[0] != "" and all(line[0] == _UNHEARD for line in said))


def give_reason(error: Exception) -> None:
    """Tell the process that started this one, if one did, why it will fail."""
    if launched():
        line = f"{_UNHEARD if silent() else _HEARD}{multirun.first_line(error)}".encode(errors="replace")
        with suppress(OSError):  # it is no more
            os.write(int(os.environ[_REASON]), line[: select.PIPE_BUF - 1] + b"\n")  # whole, and at once


def follow_starter() -> None:
    """Stop this process as a signal would when the one that started it is no more."""

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)  # ends with the process at the other end of the pipe
        os.kill(os.getpid(), signal.SIGTERM)

    if launched():
        threading.Thread(target=watch, daemon=True).start()


def _said(reasons: int) -> list[str]:
    """The lines that came through the descriptor, which is closed; an empty one where nothing did."""
    os.set_blocking(reasons, False)  # a process that outlives those that were started may hold its other end
    said = b""
    with suppress(BlockingIOError):
        while part := os.read(reasons, select.PIPE_BUF):
            said += part
    os.close(reasons)
    return said.decode(errors="replace").rstrip("\n").split("\n")


def _wait(children: list[subprocess.Popen[bytes]]) -> tuple[int, int, int]:
    """Wait for all; the number and exit code of the first that failed, or a code of 0, and the last signal, or 0.

    Signals are handed on to all: a process that has not yet come to heed them is ended by them, and was interrupted.
    """
    handed = [0]

    def hand_on(number: int, frame: FrameType | None) -> None:
        handed.append(number)
        for child in children:
            child.send_signal(number)

    def pause(number: int, frame: FrameType | None) -> None:
        """Ctrl-Z, which comes to this process alone."""
        for child in children:
            child.send_signal(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        for child in children:  # this process goes on again
            child.send_signal(signal.SIGCONT)

    former = {number: signal.signal(number, hand_on) for number in _SIGNALS}
    former[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, pause)
    first, deadline = (0, 0), float("inf")
    try:
        while True:
            ended = [child.poll() for child in children]
            codes = [128 - code if code and -code in handed else code for code in ended]
            if not first[1]:
                first = next(((number, code) for number, code in enumerate(codes) if code), first)
                if first[1] not in (0, *_INTERRUPTED):
                    deadline = time.monotonic() + _GRACE
            if None not in codes:
                return *first, handed[-1]
            if time.monotonic() > deadline:
                for child in children:
                    child.kill()
            time.sleep(0.05)
    finally:
        for child in children:
            child.kill()
        for number, handler in former.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
