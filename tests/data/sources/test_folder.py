"""The source `folder` finds the files it should, in order, and counts all others with the reason."""

import os
import random
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
from sprig.data.file_tree import files_below
from sprig.data.sources.folder import Config, documents, selection, state

GOOD = "def f(x):\n    return x\n"
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated "
    "documentation files, to deal in the Software, provided that this permission notice shall be included.\n"
)
APACHE = "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n\n1. Definitions. ...\n"


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
    ("hidden folder", ".git", lambda path: write(path, "x.py", "a/b/x.py")),
    ("hidden folder", ".venv", lambda path: write(path, "x.py")),
    ("hidden folder", ".tox", lambda path: write(path, "x.py")),
    ("vendored folder", "venv", lambda path: write(path, "x.py")),
    ("vendored folder", "env", lambda path: write(path, "x.py", "pyvenv.cfg")),
    ("vendored folder", "node_modules", lambda path: write(path, "x.py")),
    ("vendored folder", "site-packages", lambda path: write(path, "x.py")),
    ("vendored folder", "vendor", lambda path: write(path, "x.py")),
    ("vendored folder", "third_party", lambda path: write(path, "x.py")),
    ("generated folder", "__pycache__", lambda path: write(path, "x.py")),
    ("generated folder", "build", lambda path: write(path, "x.py")),
    ("generated folder", "dist", lambda path: write(path, "x.py")),
    ("generated folder", "target", lambda path: write(path, "x.py")),
    ("generated folder", "code.egg-info", lambda path: write(path, "x.py")),
    ("generated folder", "out", lambda path: write(path, "x.py", "CACHEDIR.TAG")),
]


@pytest.mark.parametrize(("reason", "name", "make"), BAD_FILES)
def test_what_is_not_a_source_file_is_counted_and_the_others_are_read(
    tmp_path: Path, reason: str, name: str, make: Callable[[Path], object]
) -> None:
    root = tmp_path / "code"
    write(root, "a.py", "good.py")
    write(tmp_path, "code2/x.py")
    make(root / name)
    found, skips = read(root)
    assert [document.group for document in found] == ["a.py", "good.py"]
    assert skips.counts == {reason: 1}
    assert skips.examples == {reason: name}


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


def test_documents_come_in_the_order_of_their_paths_whatever_the_order_on_disk(tmp_path: Path) -> None:
    names = ["a/b.py", "a/z/a.py", "a.py", "a-b/c.py", "B.py", "b/é.py", "b/e.py", "_.py"]
    write(tmp_path, *names)
    assert paths(tmp_path) == [str(path) for path in sorted(map(Path, names))]


def test_a_document_is_a_whole_file_with_its_path_language_and_nearest_licence(tmp_path: Path) -> None:
    write(tmp_path, "a/io.py", "b/x/io.h")
    write(tmp_path, "LICENSE", text=MIT)
    write(tmp_path, "b/LICENSE", text=APACHE)
    assert read(tmp_path, languages=["python", "c"])[0] == [
        Document(GOOD, "a/io.py", group="a/io.py", language="python", license="MIT"),
        Document(GOOD, "b/x/io.h", group="b/x/io.h", language="c", license="Apache-2.0"),
    ]
    assert read(tmp_path / "a" / "io.py")[0][0].license == ""


def test_a_licence_file_that_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "LICENSE", text=MIT)
    write(tmp_path, "code/a.py")
    (tmp_path / "code" / "LICENSE").symlink_to("../LICENSE")
    assert [document.license for document in read(tmp_path / "code")[0]] == [""]


@pytest.mark.parametrize("name", ["LICENSE-GPL", "LICENSE.GPL", "LICENSE.TXT", "COPYING.LESSER"])
def test_a_licence_file_of_any_usual_name_hides_those_above_it(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a/io.py")
    write(tmp_path, "LICENSE", text=MIT)
    write(tmp_path, f"a/{name}", text="Nobody may copy this.")
    assert [document.license for document in read(tmp_path)[0]] == [""]


def test_no_licence_file_of_a_folder_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "io.py")
    write(tmp_path, "LICENSE", text=MIT)
    write(tmp_path, "COPYING", text=APACHE)
    assert [document.license for document in read(tmp_path)[0]] == ["Apache-2.0 AND MIT"]
    (tmp_path / "LICENSE.md").write_bytes(b"\xff\xff")
    assert [document.license for document in read(tmp_path)[0]] == [""]


def test_a_licence_file_that_is_a_link_within_the_folder_is_what_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path, "a/io.py")
    write(tmp_path, "LICENSE", text=MIT)
    write(tmp_path, "texts/other", text=APACHE)
    (tmp_path / "a" / "COPYING").symlink_to("../texts/other")
    assert [document.license for document in read(tmp_path)[0]] == ["Apache-2.0"]
    before = list(state(Config(path=str(tmp_path))))
    (tmp_path / "a" / "COPYING").unlink()
    (tmp_path / "a" / "COPYING").symlink_to("../LICENSE")
    assert [document.license for document in read(tmp_path)[0]] == ["MIT"]
    assert list(state(Config(path=str(tmp_path)))) != before


def test_the_state_is_another_once_a_file_may_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    (tmp_path / "a.py").chmod(0)
    before = list(state(Config(path=str(tmp_path))))
    (tmp_path / "a.py").chmod(0o644)
    assert list(state(Config(path=str(tmp_path)))) != before


def test_languages_choose_by_the_table_and_none_means_all_of_it(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.JS", "c.go", "Makefile", "d.json", "e")
    assert paths(tmp_path) == ["a.py"]
    assert paths(tmp_path, languages=["javascript", "go"]) == ["b.JS", "c.go"]
    assert paths(tmp_path, languages=[]) == ["Makefile", "a.py", "b.JS", "c.go"]
    with pytest.raises(
        ValueError, match=r"^data.languages: 'pyton' is no language of the table. Did you mean 'python'"
    ):
        documents(Config(path=str(tmp_path), languages=["pyton"]), Skips())


def test_lock_files_and_minified_files_are_left_out_whatever_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, "a.js", "a.min.js", "lib-min.css", "yarn.lock", "package-lock.json", "admin.js", "clock.py")
    found, skips = read(tmp_path, patterns=["*"])
    assert [document.path for document in found] == ["a.js", "admin.js", "clock.py"]
    assert skips.counts == {"minified file": 2, "lock file": 2}


def test_what_git_ignores_is_counted_and_read_if_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.py", "c/d.py", "e/f.py", "e/b.py")
    write(tmp_path, ".gitignore", text="b.py\nc/\n")
    write(tmp_path, "e/.gitignore", text="!b.py\n")
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["a.py", "e/b.py", "e/f.py"]
    assert skips.counts == {"ignored by git": 1, "folder ignored by git": 1, "other file type": 2}
    assert skips.examples["ignored by git"] == "b.py"
    assert paths(tmp_path, gitignore=False) == ["a.py", "b.py", "c/d.py", "e/b.py", "e/f.py"]
    assert paths(tmp_path / "b.py") == ["b.py"]


def test_a_gitignore_that_is_no_file_of_rules_ignores_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a/x.py", "b/x.py", "c/x.py", "d/x.py", "e/x.py", "f/x.py")
    write(tmp_path, "rules", text="*\n")
    os.mkfifo(tmp_path / "a" / ".gitignore")
    (tmp_path / "b" / ".gitignore").symlink_to("../rules")
    (tmp_path / "c" / ".gitignore").mkdir()
    (tmp_path / "d" / ".gitignore").write_bytes(b"\xff*\n[z-a]\n!\n/\n[\n\\\n")
    write(tmp_path, "e/.gitignore", text="*\n" * 500_001)
    (tmp_path / "f" / ".gitignore").write_bytes(b"\xef\xbb\xbfx.py\r\n")
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["a/x.py", "b/x.py", "c/x.py", "d/x.py", "e/x.py"]
    unread = [path for reason, path in skips.examples.items() if reason.startswith("rules of .gitignore not read")]
    assert unread == ["e/.gitignore"]  # the others are no files, and counted as such


GIT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
"""The environment of a git that knows nobody's settings."""
SEGMENTS = ["a", "b", "*", "**", "*.py", "?", "[ab]", "[!a]", "foo", "foo.*", "a*", "x.py", "[a-b]*", "\\!a", "f*o"]


def rule(draw: random.Random) -> str:
    body = "/".join(draw.choice(SEGMENTS) for _ in range(draw.choice([1, 1, 1, 2, 2, 3])))
    ends = draw.choice(["", "", "/"]) + draw.choice(["", "", "", " ", "\r"])
    return draw.choice(["", "", "!"]) + draw.choice(["", "", "", "/"]) + body + ends


def plant(draw: random.Random, folder: Path, depth: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for name in draw.sample(["a", "b", "ab", "foo", "!a", "x.py", "y.py", "foo.py", "bar.js"], draw.randint(2, 6)):
        if "." in name or depth == 3:
            write(folder, name)
        else:
            plant(draw, folder / name, depth + 1)
    if depth == 0 or draw.random() < 0.4:
        write(folder, ".gitignore", text="\n".join(rule(draw) for _ in range(draw.randint(1, 5))))


@pytest.mark.parametrize("seed", range(30))
def test_what_is_ignored_is_what_git_ignores(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    subprocess.run(["git", "init", "-q", tmp_path], env=GIT, check=True)
    plant(draw, tmp_path)
    write(tmp_path, ".git/info/exclude", text=rule(draw))
    listing = ["git", "-C", str(tmp_path), "ls-files", "-z", "--others"]
    files, ignored = (
        set(subprocess.run(command, env=GIT, check=True, capture_output=True, text=True).stdout.split("\0")[:-1])
        for command in (listing, [*listing, "--ignored", "--exclude-standard"])
    )

    def found_below(root: Path) -> set[str]:
        return {path for path, _ in files_below(root, lambda _: True, [".git"], Skips(), 1_000, gitignore=True)}

    assert found_below(tmp_path) == files - ignored
    for folder in {str(above) for path in files - ignored for above in Path(path).parents[:-1]}:  # a part of it alone
        inside = {path.removeprefix(f"{folder}/") for path in files - ignored if path.startswith(f"{folder}/")}
        assert found_below(tmp_path / folder) == inside, folder


def test_rules_above_the_folder_hold_up_to_the_top_of_its_repository(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", text="a.py\n")
    write(tmp_path, "top/.git/info/exclude", text="b.py\n")
    write(tmp_path, "top/.gitignore", text="*_pb2.py\n")
    write(tmp_path, "top/src/.gitignore", text="/lib/d.py\n")
    write(tmp_path, *(f"top/src/lib/{name}.py" for name in ("a", "b", "c", "d", "e_pb2")))
    root = tmp_path / "top/src/lib"
    assert paths(root) == ["a.py", "c.py"]
    assert paths(root, gitignore=False) == ["a.py", "b.py", "c.py", "d.py", "e_pb2.py"]
    before = list(state(Config(path=str(root))))
    write(tmp_path, "top/.gitignore", text="c.py\n")
    assert paths(root) == ["a.py", "e_pb2.py"]
    assert list(state(Config(path=str(root)))) != before
    write(tmp_path, "top/.gitignore", text="c.py\nsrc/\n")
    assert paths(root) == ["a.py", "b.py", "c.py", "d.py", "e_pb2.py"]  # ignored as a whole: whoever names it wants it
    write(tmp_path, "top/.gitignore", text="c.py\n")
    write(root, ".git/HEAD")
    assert paths(root) == ["a.py", "b.py", "c.py", "d.py", "e_pb2.py"]  # a repository of its own


def test_a_repository_in_the_folder_has_rules_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", text="b.py\n")
    for name in ("inner", "outer"):
        write(tmp_path, f"{name}/a.py", f"{name}/b.py", f"{name}/c.py")
    write(tmp_path, "inner/.git/info/exclude", text="a.py\nc.py\n")
    write(tmp_path, "inner/.gitignore", text="!c.py\n")
    assert paths(tmp_path) == ["inner/b.py", "inner/c.py", "outer/a.py", "outer/c.py"]


def test_files_below_enters_what_the_caller_does_not_prune(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "vendor/b.py", "mine/c.py", "x.js")
    skips = Skips()
    found = files_below(tmp_path, selection(["python"], []), ["mi*"], skips, 1_000)
    assert list(found) == [("a.py", GOOD), ("vendor/b.py", GOOD)]
    assert skips.counts == {"folder left out by its name": 1, "other file type": 1}


def test_languages_and_patterns_are_not_chosen_both(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    with pytest.raises(ValueError, match=r"data\.patterns takes files of any language, .*: set one of them\."):
        read(tmp_path, languages=["javascript"], patterns=["*.py"])
    assert len(read(tmp_path, languages=[], patterns=["*.py"])[0]) == 1


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
    assert paths(root, patterns=["*"]) == ["a.py", "b.txt"]


def test_the_state_is_another_once_a_folder_is_a_repository_of_its_own(tmp_path: Path) -> None:
    """Rules from above end there, so that other files are read."""
    (tmp_path / "sub").mkdir()
    for name in ("sub/x_gen.py", "sub/y.py"):
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("*_gen.py\n")
    (tmp_path / ".git").mkdir()
    config = Config(path=str(tmp_path))
    before, read = list(state(config)), [document.path for document in documents(config, Skips())]
    (tmp_path / "sub" / ".git").mkdir()
    assert [document.path for document in documents(config, Skips())] != read == ["sub/y.py"]
    assert list(state(config)) != before


def test_the_state_is_of_the_files_that_are_read_alone_and_of_their_content(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.txt")
    before = list(state(Config(path=str(tmp_path))))
    write(tmp_path, "outputs/trace.json", "c.txt")
    assert list(state(Config(path=str(tmp_path)))) == before
    times = (tmp_path / "a.py").stat()
    (tmp_path / "a.py").write_text(GOOD.swapcase())
    os.utime(tmp_path / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert list(state(Config(path=str(tmp_path)))) != before


def test_the_state_of_one_file_is_another_once_the_licence_beside_it_is(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    before = list(state(Config(path=str(tmp_path / "a.py"))))
    write(tmp_path, "LICENSE", text=MIT)
    assert read(tmp_path / "a.py")[0][0].license == "MIT"
    assert list(state(Config(path=str(tmp_path / "a.py")))) != before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "data=folder needs the folder to read: data.path=~/code"),
        ("missing", "data.path=missing: there is no such folder"),
        ("file/below", r"data.path=file/below: it cannot be read \(Not a directory\)"),
        ("loop", r"data.path=loop: it cannot be read \(a loop of links\)"),
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


def test_a_folder_of_which_all_is_left_out_gives_counts_not_an_error(tmp_path: Path) -> None:
    write(tmp_path, ".git/x.py")
    assert read(tmp_path)[1].counts == {"hidden folder": 1}


def test_the_sources_import_nothing_slow() -> None:
    code = f"import sys; sys.path[:] = {sys.path}; import sprig.data.sources.stdlib; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "sprig.data.sources.folder" in modules.split()
    assert not {"torch", "lightning", "hydra", "omegaconf", "numpy", "tokenizers", "pathspec"} & set(modules.split())
