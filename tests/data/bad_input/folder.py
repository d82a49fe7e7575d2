"""Folders of files, and files that are cleaned or whose functions are taken out."""

import os
from collections.abc import Callable
from pathlib import Path

from bad_input.files import (
    FEW,
    MARKED,
    SMALL,
    at_the_first_opening_of,
    code,
    device,
    gone,
    link,
    no_special_token_in,
    pipe,
    replaced,
    socket_at,
    sparse,
    written,
)
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import folder


def only(make: Callable[[Path], object]) -> Build:
    """A folder's path, and nothing there but what make puts."""

    def build(place: Path) -> DataConfig:
        make(place / "code")
        return folder.Config(path=str(place / "code"), **SMALL)

    return build


def functions(text: str) -> Build:
    """A file that is parsed, since its functions are wanted."""
    return code({"bad.py": text}, unit="function")


def cleaned(text: str) -> Build:
    """A file to which is done what is done to files by default, but that no filter is in the way."""
    return code({"bad.py": text}, syntax=True, redact=True, near_duplicates=0.7)


def folder_deeper_than_a_path_may_be(root: Path) -> None:
    """4,096 bytes are the most that the system takes for a path, so that the last of these cannot be asked for."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def locked(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).chmod(0)


ROWS = [
    skip("folder: UTF-16", code({"bad.py": "x = 1\n".encode("utf-16")}), "not UTF-8"),
    skip("folder: UTF-16 without its mark", code({"bad.py": "x = 1\n".encode("utf-16-be")}), "binary file"),
    skip("folder: UTF-32", code({"bad.py": "x = 1\n".encode("utf-32")}), "not UTF-8"),
    skip("folder: Latin-1 without a cookie", code({"bad.py": b"s = '\xe9'\n"}), "not UTF-8"),
    skip("folder: a lone surrogate in UTF-8", code({"bad.py": b"s = '\xed\xa0\x80'\n"}), "not UTF-8"),
    skip("folder: overlong UTF-8", code({"bad.py": b"s = '\xc0\xaf'\n"}), "not UTF-8"),
    skip("folder: a program", code({"bad.py": b"\x7fELF\2\1\1\0\0"}), "binary file"),
    skip("folder: an unknown coding cookie", code({"bad.py": b"# coding: klingon\nx = 1\n"}), "unsupported encoding"),
    skip("folder: utf-7", code({"bad.py": b"# coding: utf-7\ns = '+AGE-'\n"}), "unsupported encoding"),
    skip("folder: a codec that unpacks", code({"bad.py": b"# coding: zlib\nx\n"}), "unsupported encoding"),
    skip("folder: a false cookie", code({"bad.py": b"# coding: ascii\n'\xe9'"}), "not in the encoding it declares"),
    skip("folder: white space", code({"bad.py": " \n\t\r\n"}), "empty file"),
    skip("folder: no bytes", code({"bad.py": ""}), "empty file"),
    skip("folder: a terabyte of nothing", code(make=sparse("bad.py", 1 << 40)), "file over 1,000,000 bytes"),
    skip("folder: a pipe", code(make=pipe("bad.py")), "not a regular file"),
    skip("folder: a device", code(make=device("bad.py")), "not a regular file"),
    skip("folder: a socket", code(make=socket_at("bad.py")), "not a regular file"),
    skip("folder: a link to a device", code(make=link("/dev/zero")), "link out of the folder"),
    skip("folder: a link to a file outside", code(make=link("../outside/secret.py")), "link out of the folder"),
    skip("folder: a link to a folder outside", code(make=link("../outside")), "link out of the folder"),
    skip("folder: a link to everything", code(make=link("/", "bad")), "link out of the folder"),
    skip("folder: a link to itself", code(make=link("bad.py")), "link loop"),
    skip("folder: a link to its own folder", code(make=link(".", "bad")), "link to a folder inside"),
    skip("folder: a link to nothing", code(make=link("nowhere.py")), "broken link"),
    skip("folder: a file name that is not UTF-8", code({"b\udce9d.py": "x = 1\n"}), "file name not UTF-8"),
    skip("folder: a folder name that is not UTF-8", code({"b\udce9d/x.py": "x = 1\n"}), "file name not UTF-8"),
    skip("folder: a path of over 4,096 bytes", code(make=folder_deeper_than_a_path_may_be), "unreadable"),
    skip("folder: a file that may not be read", code({"bad.py": "x"}, locked("bad.py")), "unreadable", stranger=True),
    skip("folder: a folder that may not be read", code({"bad/x": "x"}, locked("bad")), "unreadable", stranger=True),
    skip(
        "folder: a file that vanishes while scanning",
        code({"z.py": "x = 1\n"}),
        "vanished while scanning",
        arrange=at_the_first_opening_of("good_0.py", gone("code/z.py")),
    ),
    skip(
        "folder: a folder that vanishes while scanning",
        code({"z/x.py": "x = 1\n", "z/y.py": "y = 1\n"}),
        "vanished while scanning",
        arrange=at_the_first_opening_of("good_0.py", gone("code/z")),
    ),
    skip(
        "folder: a file that vanishes when it is opened",
        code({"z.py": "x = 1\n"}),
        "vanished while scanning",
        arrange=at_the_first_opening_of("z.py", gone("code/z.py")),
    ),
    skip(
        "folder: a file that becomes a pipe",
        code({"z.py": "x = 1\n"}),
        "not a regular file",
        arrange=at_the_first_opening_of("z.py", replaced("code/z.py", pipe("z.py"))),
        becomes_a_pipe=True,
    ),
    skip(
        "folder: a file that becomes a link out of it",
        code({"z.py": "x = 1\n"}),
        "unreadable",
        arrange=at_the_first_opening_of("z.py", replaced("code/z.py", link("../outside/secret.py", "z.py"))),
    ),
    skip("folder: a .gitignore of no rules", code({".gitignore": b"\xff*\n[z-a]\n!\n/\n[\n\\\n"}), "other file type"),
    skip(
        "folder: a rule with a star for each letter of a long name",
        code({".gitignore": "*a" * 30 + "*b\n", "a" * 250 + ".py": "x = 1"}),
        "other file type",
        good=[*FEW, "x = 1"],
    ),
    skip(
        "folder: a rule with many folders of any depth",
        code({".gitignore": "/**/a" * 20 + "/b\n", "a/" * 500 + "a.py": "x = 1"}),
        "other file type",
        good=[*FEW, "x = 1"],
    ),
    skip(
        "folder: a rule of 5,000 letters",
        code({".gitignore": "*a" * 2500}),
        "rule of .gitignore too long, or one too many",
        "other file type",
    ),
    skip("folder: a pipe for a licence", code(make=pipe("LICENSE")), "not a regular file"),
    skip("folder: a pipe for rules", code(make=pipe(".gitignore")), "not a regular file"),
    skip("all cleaning: Python 2", cleaned("print 'hello'\n"), "not Python 3 syntax"),
    skip("all cleaning: an integer of 5,000 digits", cleaned(f"x = {'1' * 5000}\n"), "not Python 3 syntax"),
    skip("all cleaning: a file that is cut off", cleaned("def f(x):\n    return (x +\n"), "not Python 3 syntax"),
    skip("all cleaning: 100,000 signs", cleaned("x = " + "-" * 10**5 + "1"), "too large or too deeply nested to parse"),
    skip("all cleaning: a NUL", cleaned("x = 1\0\n"), "binary file"),
    normalise("all cleaning: special tokens in code", cleaned(MARKED), MARKED),
    skip("functions: Python 2", functions("print 'hello'\n"), "not Python 3 syntax"),
    skip("functions: an integer of 5,000 digits", functions(f"x = {'1' * 5000}\n"), "not Python 3 syntax"),
    skip("functions: a file that is cut off", functions("def f(x):\n    return (x +\n"), "not Python 3 syntax"),
    skip("functions: tabs and spaces", functions("if x:\n\ty\n        z\n"), "not Python 3 syntax"),
    skip("functions: 300 parentheses", functions("x = " + "(" * 300 + ")" * 300), "not Python 3 syntax"),
    skip("functions: 100,000 signs", functions("x = " + "-" * 10**5 + "1"), "too large or too deeply nested to parse"),
    skip("functions: none in it", functions("x = 1\n"), "file without functions"),
    skip(
        "functions: another language",
        code({"bad.js": "f()"}, unit="function", languages=[]),
        "not Python: it has no functions to take out",
    ),
    normalise("folder: a byte order mark", code({"bad.py": b"\xef\xbb\xbfx = 1\n"}), "x = 1\n"),
    normalise("folder: CRLF", code({"bad.py": b"x = 1\r\ny = 2\r\n"}), "x = 1\ny = 2\n"),
    normalise("folder: CR, and all line ends in one file", code({"bad.py": b"a\rb\r\n\rc\n"}), "a\nb\n\nc\n"),
    normalise(
        "folder: Latin-1 with a cookie", code({"bad.py": b"# coding: latin-1\n'\xe9'"}), "# coding: latin-1\n'é'"
    ),
    normalise("folder: a cookie below code is none", code({"bad.py": "x\n# coding: utf-7\n"}), "x\n# coding: utf-7\n"),
    normalise("folder: special tokens in code", code({"bad.py": MARKED}), MARKED, prepared=no_special_token_in),
    normalise(
        "folder: special tokens in code, where they are in use",
        code({"bad.py": MARKED}, fim_rate=0.5, vocab_size=261),
        MARKED,
        prepared=no_special_token_in,
    ),
    refuse("folder: not there", only(lambda root: None), "data.path=", "there is no such folder"),
    refuse("folder: empty", only(Path.mkdir), "data.path=", "there is no file in it"),
    refuse("folder: a NUL in a path", lambda place: folder.Config(path="a\0b"), "data.path='a\\x00b': it cannot be"),
    refuse("folder: a pipe for a path", only(os.mkfifo), "it is neither a folder nor a regular file"),
    refuse("folder: a device for a path", only(lambda root: root.symlink_to("/dev/zero")), "neither a folder nor"),
    refuse(
        "folder: a loop for a path", only(lambda root: root.symlink_to("code")), "it cannot be read (a loop of links)"
    ),
    refuse(
        "folder: a path that may not be read",
        only(lambda root: root.mkdir(mode=0)),
        "it cannot be read (Permission denied)",
        stranger=True,
    ),
    refuse(
        "folder: nothing in it that can be read",
        only(lambda root: written(root / "bad.py", b"\xff")),
        "No document is left",
        "1 not UTF-8 (bad.py)",
    ),
    refuse(
        "folder: the same file three times",
        only(lambda root: [written(root / f"{name}.py", "x = 1\n") for name in "abc"]),
        "All 3 documents are the same",
    ),
]
