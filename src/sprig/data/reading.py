"""Bytes on disk -> text: reads one source file, or says why it is left out.

Where it stands: a source finds the files (`sprig.data.file_tree`), this module reads each of them, and what it
returns is a document's text. The text has no NUL, no byte order mark, no carriage return and no lone
surrogate.
"""

import codecs
import errno
import os
import re
import stat
from pathlib import Path

from sprig.data.languages import language_of

_CHUNK = 1 << 20  # os.read takes the memory it is allowed to fill: never ask for a limit a user set
# PEP 263: the cookie stands in a comment on line 1, or on line 2 below a blank line or a comment. Emacs adds
# its line ends to the name: utf-8-unix.
_COOKIE = re.compile(
    rb"(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))??"
    rb"[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+?)(?:-unix|-dos|-mac)?(?![-\w.])"
)
# The codecs that extend ASCII. The others are no text (base64), or not ASCII at its base (utf-16, EBCDIC), or
# hide characters in ASCII (utf-7, unicode-escape), which no reader of the file would see.
_CODECS = (
    *("utf-8", "ascii", "iso8859-", "cp125", "cp437", "cp866", "koi8-", "mac-"),
    *("big5", "cp932", "cp949", "euc_", "gb", "shift_jis"),
)


class Unfit(Exception):
    """Why a file is left out: str() of it is the reason that `Skips` counts."""

    @classmethod
    def because(cls, error: OSError) -> "Unfit":
        """Turn what the operating system said about a file or a folder into a reason."""
        return cls("vanished while scanning" if isinstance(error, FileNotFoundError) else "unreadable")

    @classmethod
    def over(cls, max_bytes: int) -> "Unfit":
        """Say that a file has more bytes than are read."""
        return cls(f"file over {max_bytes:,} bytes")


def read_source(path: Path, max_bytes: int) -> str:
    """Read the file at path, with its lines ended by "\\n"; raises Unfit with the reason for leaving it out."""
    return source_text(read_bytes(path, max_bytes), path.name)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read the regular file at path; raises Unfit.

    Never waits: a pipe or a device that has taken the file's place since the scan is not read, a link is not
    followed.
    """
    try:
        data = _read_regular(path, max_bytes)
    except OSError as error:
        raise Unfit.because(error) from None
    if len(data) > max_bytes:
        raise Unfit.over(max_bytes)
    return data


def descriptor_of(path: Path) -> int:
    """Open the regular file at path for reading; Unfit where it is none, OSError."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise Unfit("unreadable")
    if not stat.S_ISREG(mode):  # looked at first: merely opening a device may do something
        raise Unfit("not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it may have become another since
        os.close(descriptor)
        raise Unfit("not a regular file")
    return descriptor


def _read_regular(path: Path, max_bytes: int) -> bytes:
    descriptor = descriptor_of(path)
    try:
        data = bytearray()  # counted as it is read: the size on record may be old, or a fiction (below /proc)
        while len(data) <= max_bytes and (chunk := os.read(descriptor, _CHUNK)):
            data += chunk
    finally:
        os.close(descriptor)
    return bytes(data)


def shown(path: str) -> str:
    """A path of the user's as a message shows it: in quotes where something in it cannot be seen."""
    return path if path.isprintable() else repr(path)


def why(error: OSError | RuntimeError | ValueError) -> str:
    """Why the system did not take a path of the user's, in words that are the same on every version of Python."""
    if isinstance(error, OSError):
        return "a loop of links" if error.errno == errno.ELOOP else error.strerror or str(error)
    if isinstance(error, RuntimeError):  # ~ of an unknown user; before Python 3.13, a loop too, which it names by path
        return "a loop of links" if "loop" in str(error) else str(error)
    return "it is not UTF-8" if isinstance(error, UnicodeError) else "a path has no NUL"


def source_text(data: bytes, name: str) -> str:
    """Make a document's text of the bytes of a file of that name or path; raises Unfit."""
    text = decode(data, python=language_of(name) == "python")
    if not text.strip():
        raise Unfit("empty file")
    return text


def decode(data: bytes, *, python: bool) -> str:
    """Decode a file's bytes and normalise its line ends; raises Unfit.

    Source code is UTF-8, with or without a byte order mark; in Python, what a coding cookie says (PEP 263).
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unfit("not UTF-8")
    if b"\0" in data:
        raise Unfit("binary file")
    cookie = _COOKIE.match(data) if python and not data.startswith(codecs.BOM_UTF8) else None
    encoding = _codec(cookie[1].decode()) if cookie else "utf-8"
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError:
        raise Unfit("not UTF-8" if encoding == "utf-8" else "not in the encoding it declares") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _codec(cookie: str) -> str:
    try:
        name = codecs.lookup(cookie).name
    except LookupError:
        raise Unfit("unsupported encoding") from None
    if not name.startswith(_CODECS):
        raise Unfit("unsupported encoding")
    return name
