"""One file's bytes become text, or a reason for leaving the file out, without ever waiting."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.reading import Unfit, decode, read_source


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No test here takes longer than this, also where what is tested would wait for ever."""

    def late(*_: object) -> None:
        raise TimeoutError("still reading after 5 s")

    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 5)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def reason(path: Path, max_bytes: int = 1_000_000) -> str:
    with pytest.raises(Unfit) as unfit:
        read_source(path, max_bytes)
    return str(unfit.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"\xef\xbb\xbfx = 1\n", "x = 1\n", id="byte order mark"),
        pytest.param(b"a\r\nb\r\n", "a\nb\n", id="CRLF"),
        pytest.param(b"a\rb\r", "a\nb\n", id="CR"),
        pytest.param(b"a\r\n\rb\n\r\n", "a\n\nb\n\n", id="all line ends in one file"),
        pytest.param("s = 'é€🌱'".encode(), "s = 'é€🌱'", id="UTF-8"),
        pytest.param(b"# coding: latin-1\ns = '\xe9'", "# coding: latin-1\ns = 'é'", id="latin-1"),
        pytest.param(b"#!/bin/x\r# vim: fileencoding=cp1251 :\n'\xe6'", None, id="cookie on line 2"),
        pytest.param(b"\n# -*- coding: utf-8-unix -*-\n'\xc3\xa9'", None, id="Emacs's name for UTF-8"),
        pytest.param(b"x = 1\n# coding: utf-7\n", None, id="no cookie below code"),
        pytest.param(b"x = 1  # coding: utf-7\n", None, id="no cookie behind code"),
        pytest.param(b"\n\n# coding: utf-7\n", None, id="no cookie on line 3"),
        pytest.param(b"# coding: utf-8\n# coding: utf-7\n", None, id="the first of two cookies"),
    ],
)
def test_python_is_decoded_as_python_decodes_it(data: bytes, text: str | None) -> None:
    if text is None:
        text = data.decode("cp1251" if b"cp1251" in data else "utf-8").replace("\r", "\n")
    assert decode(data, python=True) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"s = '\xe9'\n", "not UTF-8", id="latin-1 without a cookie"),
        pytest.param(b"s = '\xed\xa0\x80'\n", "not UTF-8", id="a surrogate in UTF-8"),
        pytest.param(b"s = '\xc0\x80'\n", "not UTF-8", id="overlong UTF-8"),
        pytest.param("x = 1\n".encode("utf-16"), "not UTF-8", id="UTF-16 with its mark"),
        pytest.param("x = 1\n".encode("utf-16-le"), "binary file", id="UTF-16 without its mark"),
        pytest.param(b"\x7fELF\x00\x01", "binary file", id="NUL"),
        pytest.param(b"x = 1\n" * 9999 + b"\0", "binary file", id="NUL at the end"),
        pytest.param(b"# coding: utf-7\ns = '+AGE-'\n", "unsupported encoding", id="utf-7"),
        pytest.param(b"# coding: unicode-escape\nx", "unsupported encoding", id="unicode-escape"),
        pytest.param(b"# coding: rot13\nk = 1\n", "unsupported encoding", id="rot13"),
        pytest.param(b"# coding: zlib\nx = 1\n", "unsupported encoding", id="zlib"),
        pytest.param(b"# coding: cp037\nx = 1\n", "unsupported encoding", id="EBCDIC"),
        pytest.param(b"# coding: klingon\nx = 1\n", "unsupported encoding", id="unknown"),
        pytest.param(b"# coding: ascii\ns = '\xe9'\n", "not in the encoding it declares", id="a false cookie"),
        pytest.param(b"", "empty file", id="no bytes"),
        pytest.param(b" \n\t\r\n\x0c", "empty file", id="white space"),
        pytest.param(b"\xef\xbb\xbf", "empty file", id="only a byte order mark"),
        pytest.param(b"x\r" * 500_001, "file over 1,000,000 bytes", id="large file"),
        pytest.param(b"x = [" + b"0," * 2_500_000 + b"]", "file over 1,000,000 bytes", id="5 MB on one line"),
    ],
)
def test_bad_bytes_are_left_out_with_their_reason(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(data)
    assert reason(path) == expected


def test_a_file_may_be_as_large_as_the_limit_and_its_lines_as_long(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes("é".encode() * 1000 + b"\r\n" + b"x" * 100_000)
    size = path.stat().st_size
    assert len(read_source(path, size)) == 101_001
    assert reason(path, size - 1) == f"file over {size - 1:,} bytes"


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_any_other_utf8_text_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode(), python=False) == text.removeprefix("\ufeff")


def test_a_heading_that_looks_like_a_cookie_is_one_in_python_only(tmp_path: Path) -> None:
    for name in ("x.md", "x.py", "x.PYI", "SConstruct"):
        (tmp_path / name).write_text("# Encoding: how we do it\n")
    assert read_source(tmp_path / "x.md", 100) == "# Encoding: how we do it\n"
    assert {reason(tmp_path / name) for name in ("x.py", "x.PYI", "SConstruct")} == {"unsupported encoding"}


def test_a_pipe_a_device_or_a_link_in_a_files_place_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "link.py").symlink_to(__file__)
    assert reason(tmp_path / "pipe.py") == "not a regular file"
    assert reason(Path("/dev/zero")) == "not a regular file"
    assert reason(tmp_path / "link.py") == "unreadable"


def test_a_file_that_is_gone_or_forbidden_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    assert reason(path) == "vanished while scanning"
    path.write_text("x = 1\n")
    path.chmod(0)
    if os.geteuid() == 0:  # permissions are not for root
        os.seteuid(65534)
        try:
            assert reason(path) == "unreadable"
        finally:
            os.seteuid(0)
    else:
        assert reason(path) == "unreadable"
