"""The source `folder` finds the files it should, in order, and counts all others with the reason."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sprig.data.documents import Document, Skips
from sprig.data.sources.folder import Config, documents

GOOD = "def f(x):\n    return x\n"


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No test here takes longer than this, also where what is tested would wait for ever."""

    def late(*_: object) -> None:
        raise TimeoutError("still reading after 10 s")

    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 10)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def write(root: Path, *paths: str, text: str = GOOD) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def read(root: Path, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(path=str(root), **settings), skips)), skips


def paths(root: Path, **settings: object) -> list[str]:
    return [document.path for document in read(root, **settings)[0]]


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def bind_socket(path: Path) -> None:
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s")  # a socket's path is limited to some 100 bytes
        Path(f"{short}/s").rename(path)


BAD_FILES = [
    ("not UTF-8", "bad.py", lambda path: path.write_bytes(b"'\xe9'")),
    ("not UTF-8", "bad.py", lambda path: path.write_bytes(GOOD.encode("utf-16"))),
    ("unsupported encoding", "bad.py", lambda path: path.write_text("# coding: utf-7\n")),
    ("binary file", "bad.py", lambda path: path.write_bytes(b"MZ\0\0")),
    ("empty file", "bad.py", lambda path: path.write_bytes(b"\n \n")),
    ("file over 1,000,000 bytes", "bad.py", lambda path: path.write_text("x = [" + "0," * 2_500_000 + "]")),
    ("line over 1,000 characters", "bad.py", lambda path: path.write_text("x" * 1001)),
    ("other file type", "bad.js", lambda path: path.write_text("f()")),
    ("not a regular file", "bad.py", os.mkfifo),
    ("not a regular file", "bad.py", bind_socket),
    ("link out of the folder", "bad.py", link_to("/dev/zero")),
    ("link out of the folder", "bad.py", link_to(__file__)),
    ("link out of the folder", "bad", link_to("/")),
    ("link out of the folder", "bad", link_to("..")),
    ("link out of the folder", "bad", link_to("../code2")),
    ("link to a folder inside", "bad", link_to(".")),
    ("link to a folder inside", "bad", link_to("../code")),
    ("link to a file inside", "bad.py", link_to("good.py")),
    ("link loop", "bad.py", link_to("bad.py")),
    ("broken link", "bad.py", link_to("nowhere.py")),
    ("broken link", "bad.py", link_to("good.py/x.py")),
    ("file name not UTF-8", "b\udce9d.py", lambda path: path.write_text(GOOD)),
    ("file name not UTF-8", "b\udce9d", lambda path: write(path, "x.py")),
    ("hidden, vendored or generated folder", ".git", lambda path: write(path, "x.py", "a/b/x.py")),
    ("hidden, vendored or generated folder", ".venv", lambda path: write(path, "x.py")),
    ("hidden, vendored or generated folder", "venv", lambda path: write(path, "x.py")),
    ("hidden, vendored or generated folder", "__pycache__", lambda path: write(path, "x.py")),
    ("hidden, vendored or generated folder", "node_modules", lambda path: write(path, "x.py")),
    ("hidden, vendored or generated folder", "site-packages", lambda path: write(path, "x.py")),
]
BAD_PYTHON = [
    ("not Python 3 syntax", "print 'Python 2'\n"),
    ("not Python 3 syntax", "x = " + "(" * 300 + ")" * 300),
    ("too large or too deeply nested to parse", "x = 1" + " + 1\\\n" * 10**5 + "+ 1\n"),
    ("file without functions", "x = 1\n"),
]


@pytest.mark.parametrize("unit", ["file", "function"])
@pytest.mark.parametrize(("reason", "name", "make"), BAD_FILES)
def test_what_is_not_a_source_file_is_counted_and_the_others_are_read(
    tmp_path: Path, unit: str, reason: str, name: str, make: Callable[[Path], object]
) -> None:
    root = tmp_path / "code"
    write(root, "a.py", "good.py")
    write(tmp_path, "code2/x.py")
    make(root / name)
    found, skips = read(root, unit=unit)
    assert [document.group for document in found] == ["a.py", "good.py"]
    assert skips.counts == {reason: 1}
    assert skips.examples == {reason: name.replace("\udce9", "\\xe9")}


@pytest.mark.parametrize(("reason", "text"), BAD_PYTHON)
def test_what_has_no_python_function_is_left_out_for_functions_only(tmp_path: Path, reason: str, text: str) -> None:
    write(tmp_path, "a.py", "c.py")
    write(tmp_path, "bad.py", text=text)
    found, skips = read(tmp_path, unit="function")
    assert [document.path for document in found] == ["a.py:f", "c.py:f"]
    assert (skips.counts, skips.examples) == ({reason: 1}, {reason: "bad.py"})
    assert paths(tmp_path) == ["a.py", "bad.py", "c.py"]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Permissions are not for root: be another user for a while, if need be."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_may_not_be_read_is_counted_and_an_unreadable_root_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, open to other users
        root = Path(folder)
        root.chmod(0o755)
        write(root, "a.py", "locked.py", "locked/b.py")
        for name in ("locked.py", "locked"):
            (root / name).chmod(0)
        with ordinary_user():
            found, skips = read(root)
            with pytest.raises(ValueError, match=r"locked: it cannot be read \(Permission denied\)"):
                read(root / "locked")
        (root / "locked").chmod(0o755)
    assert [document.path for document in found] == ["a.py"]
    assert (skips.counts, skips.examples) == ({"unreadable": 2}, {"unreadable": "locked"})


def test_what_vanishes_during_the_scan_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.py", "c/x.py", "d.py")
    skips = Skips()
    found = documents(Config(path=str(tmp_path)), skips)
    next(found)
    (tmp_path / "b.py").unlink()
    shutil.rmtree(tmp_path / "c")
    assert [document.path for document in found] == ["d.py"]
    assert skips.counts == {"vanished while scanning": 2}


@pytest.mark.parametrize("unit", ["file", "function"])
def test_documents_come_in_the_order_of_their_paths_whatever_the_order_on_disk(tmp_path: Path, unit: str) -> None:
    names = ["a/b.py", "a/z/a.py", "a.py", "a-b/c.py", "B.py", "b/é.py", "b/e.py", "_.py"]
    write(tmp_path, *names)
    groups = [document.group for document in read(tmp_path, unit=unit)[0]]
    assert groups == [str(path) for path in sorted(map(Path, names))]


def test_functions_have_their_files_path_as_group_and_their_header(tmp_path: Path) -> None:
    text = "class A:\n    @x\n    def f(self):\n        return 1\n\n\ndef g(): return 2\n"
    write(tmp_path, "pkg/io.py", text=text)
    assert read(tmp_path, unit="function")[0] == [
        Document("@x\ndef f(self):\n    return 1", "pkg/io.py:A.f", group="pkg/io.py", header=15),
        Document("def g(): return 2", "pkg/io.py:g", group="pkg/io.py", header=8),
    ]
    assert read(tmp_path)[0] == [Document(text, "pkg/io.py", group="pkg/io.py")]


def test_patterns_match_names_and_paths(tmp_path: Path) -> None:
    write(tmp_path, "a.js", "a.ts", "src/b.ts", "src/x/c.ts", "lib/d.ts", "e.py", "lib/F.JS", "lib/g.go")
    patterns = ["*.js", "src/*.ts", "g.*"]
    assert paths(tmp_path, patterns=patterns) == ["a.js", "lib/g.go", "src/b.ts", "src/x/c.ts"]
    assert read(tmp_path, patterns=patterns)[1].counts == {"other file type": 4}


def test_the_root_may_be_hidden_or_vendored_a_link_or_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / ".venv" / "site-packages"
    write(root, "a.py", "b.txt")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths(root) == paths(tmp_path / "link") == paths(Path("~/link")) == ["a.py"]
    assert read(root / "b.txt") == ([Document(GOOD, "b.txt", group="b.txt")], Skips())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "data=folder needs the folder to read: data.path=~/code"),
        ("missing", "data.path=missing: there is no such folder"),
        ("file/below", r"data.path=file/below: it cannot be read \(Not a directory\)"),
        ("loop", "data.path=loop: it cannot be read .*loop"),
        ("~nobody-of-that-name/x", "data.path=~nobody-of-that-name/x: it cannot be read"),
        ("pipe", "data.path=pipe: it is neither a folder nor a regular file"),
        ("empty", "data.path=empty: there is no file in it"),
        ("hollow", "data.path=hollow: there is no file in it"),
    ],
)
def test_a_path_with_nothing_to_read_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "hollow").mkdir(parents=True)
    with pytest.raises(ValueError, match=f"^{message}") as error:
        list(documents(Config(path=path), Skips()))
    assert "\n" not in str(error.value)


def test_a_unit_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.unit=class: a document is a file or a function"):
        read(tmp_path, unit="class")


def test_a_folder_of_which_all_is_left_out_gives_counts_not_an_error(tmp_path: Path) -> None:
    write(tmp_path, ".git/x.py")
    assert read(tmp_path)[1].counts == {"hidden, vendored or generated folder": 1}


def test_the_sources_import_nothing_slow() -> None:
    code = f"import sys; sys.path[:] = {sys.path}; import sprig.data.sources.stdlib; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "sprig.data.sources.folder" in modules.split()
    assert not {"torch", "lightning", "hydra", "omegaconf", "numpy", "tokenizers"} & set(modules.split())
