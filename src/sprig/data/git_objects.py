"""Asking git about a repository that may be a stranger's: its configuration runs nothing, and nothing is fetched.

Where it stands: below the source `git`, which says what to ask for.
"""

import hashlib
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

_SAFE = (
    *("-c", "core.fsmonitor=", "-c", "protocol.allow=never", "--no-optional-locks", "--no-pager"),
    *("-c", "core.bigFileThreshold=512m"),  # smaller objects are not given out before all of them is unpacked
)
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "SUDO_UID")  # the last three say whose repositories git trusts
_MAX_ANSWER = 200_000_000  # bytes: the files of Chromium take a third of it
_MAX_COMPLAINT = 1_000_000
_MAX_HEADER = 200  # bytes of what git says before a blob: a name of 64, a word and a number


class Objects:
    """The contents of a repository's objects, from one `git cat-file --batch` that runs until close()."""

    def __init__(self, repository: Path) -> None:
        self._path = repository
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: str, size: int) -> bytes | None:
        """The bytes of the blob of that name and size; None where it is missing or damaged.

        What is not what its name says ends the process: what else comes out of it answers no question of ours. If it
        had answered others before, they may be what was wrong, so that a fresh one is asked once more.
        """
        fresh = self._process is None
        process = self._process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # it ended meanwhile, and there is no answer
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
        header = process.stdout.readline(_MAX_HEADER)
        if header == f"{name} missing\n".encode():
            return None
        if header == f"{name} blob {size}\n".encode():
            data = process.stdout.read(size + 1)
            if data.endswith(b"\n") and _name(data[:-1], len(name)) == name:
                return data[:-1]
        self.close()
        return None if fresh else self.read(name, size)

    def close(self) -> None:
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
        return subprocess.Popen(  # noqa: S603  git, with arguments of ours
            _command(self._path, "cat-file", "--batch"),
            env=_environment(self._path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run, which then closes its readers
        )


def _name(data: bytes, length: int) -> str:
    """What a blob is called by a repository whose names are so long."""
    new = hashlib.sha1 if length == 40 else hashlib.sha256
    return new(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def run(path: Path, *arguments: str, seconds: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """What git answers for the repository at path.

    ValueError where it is not there, does not answer in time, or answers without end: ten trees, each ten times in the
    one above it, are ten billion files.
    """
    command = _command(path, *arguments)
    with TemporaryFile() as complaint:
        process = subprocess.Popen(  # noqa: S603  git, with arguments of ours
            command, env=_environment(path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds or threading.TIMEOUT_MAX, end)
        timer.daemon = True
        timer.start()
        with process:
            assert process.stdout is not None
            answer = process.stdout.read(_MAX_ANSWER + 1)
            if len(answer) > _MAX_ANSWER:
                process.kill()
        timer.cancel()
        complaint.seek(0)
        said = complaint.read(_MAX_COMPLAINT)
    if late.is_set():
        raise ValueError(f"data.paths: git does not answer for {path} within {seconds} s")
    if len(answer) > _MAX_ANSWER:
        raise ValueError(f"data.paths: {path}: its list of files has over {_MAX_ANSWER:,} bytes: no code has so many")
    return subprocess.CompletedProcess(command, process.returncode, answer, said)


def _command(path: Path, *arguments: str) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise ValueError("data=git needs git, and there is none on the PATH")
    return [git, *_SAFE, "-C", str(path), *arguments]


def _environment(path: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "LC_ALL": "C",
        "GIT_CEILING_DIRECTORIES": str(path.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "none",  # stronger than protocol.*.allow, which a repository can set for itself
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
