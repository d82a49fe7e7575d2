"""A table of malformed inputs: each refuses the run, is left out and counted, or is made good, within time and memory.

What makes the inputs is in `bad_input`. A refusal is a ValueError of one or two lines; all else goes on, with every
good document there. No pipe and no device is ever opened, and what stands outside a folder never comes in.
"""

import os
import signal
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # before anything of theirs is imported

import zstandard
from bad_input import (
    FEW,
    GOOD_LINES,
    MANY,
    MEGABYTE,
    OTHER,
    Build,
    Change,
    as_record,
    at_the_first_opening_of,
    cleaned,
    code,
    columns,
    cut_off,
    damaged_parquet,
    dataset,
    device,
    environment,
    environment_at,
    folder_deeper_than_a_path_may_be,
    full_disk,
    functions,
    globbed,
    gone,
    gzip_bomb,
    gzipped,
    in_git,
    install,
    left_by_a_process_that_is_no_more,
    line,
    lines,
    link,
    locked,
    lying,
    mixed,
    no_parts,
    noise,
    of_files_that_were_others,
    of_other_settings,
    only,
    other_columns,
    parquet_that_gives_one_long_text_again_and_again,
    parquet_that_says,
    parquet_with_a_text_of,
    pipe,
    prepared_before,
    recorded,
    replaced,
    repository,
    repository_at,
    rows,
    socket_at,
    sparse,
    staged_link,
    staged_submodule,
    table,
    thrift,
    truncated,
    two_links_to_here,
    with_object,
    with_origin,
    without,
    written,
    zstd_bomb,
    zstd_with_a_window_of_256_megabytes,
)

from sprig.data.collection import collect
from sprig.data.config import DataConfig
from sprig.data.preparation import prepare
from sprig.data.prepared import Prepared
from sprig.data.rows_of_tables import TableConfig
from sprig.data.sources import folder, hub, jsonl, packages
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, SPECIAL_TOKENS
from sprig.trace.records import Funnel

MARKED = "def marked(x):\n    return '<|endoftext|><|pad|><fim_middle><repo_name>'\n"
"""Code in which the vocabulary's special tokens are written out."""


@dataclass(frozen=True)
class Refuse:
    """The run ends before anything is learnt; these words say why."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Skip:
    """Left out and counted under these reasons and no others."""

    counts: dict[str, int]


@dataclass(frozen=True)
class Normalise:
    """Made good: these texts come in besides the good ones; where all is prepared, prepared says what else is so."""

    texts: tuple[str, ...]
    prepared: Callable[[Prepared], bool] | None = None


@dataclass(frozen=True)
class Row:
    """A malformed input, what becomes of it, and what that may cost."""

    name: str
    build: Build
    outcome: Refuse | Skip | Normalise
    arrange: Change | None = None
    """What happens while the run goes on."""
    whole: bool = False
    """Whether all is prepared, with a cache, and not just collected."""
    good: list[str] | None = None
    """The documents that are there whatever is left out; None: those that stand around the bad one."""
    stranger: bool = False
    """Whether it is run by a user whom permissions hold for."""
    becomes_a_pipe: bool = False
    """Whether it was a regular file when it was found, so that only opening it shows what it is by now."""
    seconds: float = 10
    mebibytes: int = 100
    """Of memory that the process may take beyond what it had."""


def refuse(name: str, build: Build, *words: str, **how: Any) -> Row:
    return Row(name, build, Refuse(words), **how)


def skip(name: str, build: Build, *reasons: str, count: int = 1, **how: Any) -> Row:
    return Row(name, build, Skip(dict.fromkeys(reasons, count)), **how)


def normalise(
    name: str, build: Build, *texts: str, prepared: Callable[[Prepared], bool] | None = None, **how: Any
) -> Row:
    return Row(name, build, Normalise(texts, prepared), whole=prepared is not None, **how)


def broken(name: str, bad: bytes, reason: str, **settings: Any) -> Row:
    """A broken line behind good ones: where it stands is seen where the run ends, in the rows that refuse."""
    return skip(f"jsonl: {name}", table(bad + b"\n", **settings), f"broken line: {reason}")


def no_special_token_in(prepared: Prepared) -> bool:
    """Whether text that looks like special tokens became ordinary ones, which can be read back."""
    tokenizer, corpus = prepared.tokenizer, prepared.train.rows(0, 0).corpus
    ids = tokenizer.encode(MARKED)
    special = {*SPECIAL_TOKENS, *FILL_IN_THE_MIDDLE, *REPOSITORY}
    ends = int((corpus.ids == tokenizer.end_of_text).sum())
    return tokenizer.decode(ids) == MARKED and not special & set(tokenizer.tokens(ids)) and ends == len(corpus)


def made_anew(prepared: Prepared) -> bool:
    return not prepared.funnel.from_cache


FOLDER = [
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
        code({"bad.py": MARKED}, fim_rate=0.5, repositories=True, vocab_size=263),
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

NO_TEXT = "no text in the field 'content'"
JSONL = [
    broken("no JSON", b"{'content': 'x'}", "not JSON"),
    broken("a line that is cut off", b'{"content": "x = 1', "not JSON"),
    broken("two objects on a line", b'{"content": "x"} {"content": "y"}', "not JSON"),
    broken("100,000 brackets", b"[" * 100_000, "not JSON"),
    broken("an integer of 5,000 digits", b'{"content": "x", "n": ' + b"1" * 5000 + b"}", "not JSON"),
    broken("a list", b'["x = 1"]', "not an object"),
    broken("null", b"null", "not an object"),
    broken("a field of another name", b'{"contents": "x"}', "no field 'content'"),
    broken("a field with a name of 5 MB", line({"content" * 700_000: "x"}), "no field 'content'"),
    skip(
        "jsonl: names for a field",
        rows(GOOD_LINES + lines([f"x = {n}" for n in range(300)]) + b'{"text1": "x"}\n{"text2": "x"}\n'),
        "broken line: no field 'content'",
        count=2,
        good=[*MANY, *(f"x = {n}" for n in range(300))],
    ),
    skip(
        "jsonl: a text over the limit", table(line({"content": "x" * 999}), max_text_bytes=900), "text over 900 bytes"
    ),
    skip("jsonl: a glob, and two links to here", globbed("**/*.jsonl", two_links_to_here), "link", count=2),
    skip(
        "jsonl: a glob, and a link to a folder outside",
        globbed("*/*.jsonl", lambda root: (link("../outside", "x")(root), written(root / "y" / "b.jsonl", GOOD_LINES))),
        "link",
    ),
    skip(
        "jsonl: a link to a folder outside",
        table(b"", make=link("../outside", "x")),
        "link",
    ),
    broken("no text", b'{"content": null}', NO_TEXT),
    broken("a list for a text", b'{"content": ["x"]}', NO_TEXT),
    broken("a number for a text", b'{"content": 7}', NO_TEXT),
    broken("a lone surrogate", rb'{"content": "\ud800"}', "lone surrogates"),
    broken("a NUL", rb'{"content": "x\u0000"}', "binary file"),
    broken("Latin-1", b'{"content": "\xe9"}', "not UTF-8"),
    broken("a long line", line({"content": "x" * 4 * MEGABYTE}), "over 1,000 bytes", max_line_bytes=1000),
    skip(
        "jsonl: 300 MB without a line end",
        table(b"", make=sparse("b.jsonl", 300 * MEGABYTE)),
        "broken line: over 10,000,000 bytes",
        mebibytes=50,
    ),
    skip("jsonl: a text of white space", table(line({"content": " \r\n"})), "empty file"),
    skip("jsonl: a file without bytes", table(b"", make=lambda root: written(root / "b.jsonl", "")), "empty file"),
    skip(
        "jsonl: a packed file without bytes",
        table(b"", make=lambda root: written(root / "b.jsonl.gz", "")),
        "empty file",
    ),
    skip("jsonl: a pipe", table(b"", make=pipe("b.jsonl")), "not a regular file"),
    skip("jsonl: a link out of the folder", table(b"", make=link("../outside/secret.py", "b.jsonl")), "link"),
    skip("jsonl: a link to a device", table(b"", make=link("/dev/zero", "b.jsonl")), "link"),
    skip(
        "jsonl: a file name that is not UTF-8",
        table(b"", make=lambda root: written(root / "b\udce9.jsonl", GOOD_LINES)),
        "file name not UTF-8",
    ),
    skip(
        "jsonl: a file that may not be read",
        table(b"", make=lambda root: written(root / "b.jsonl", "x").chmod(0)),
        "unreadable",
        stranger=True,
    ),
    skip(
        "jsonl: a file that vanishes",
        table(b"", make=lambda root: written(root / "b.jsonl", lines(["x = 1\n"]))),
        "vanished while scanning",
        arrange=at_the_first_opening_of("a.jsonl", gone("data/b.jsonl")),
    ),
    skip(
        "jsonl: a file that becomes a pipe",
        table(b"", make=lambda root: written(root / "b.jsonl", lines(["x = 1\n"]))),
        "not a regular file",
        arrange=at_the_first_opening_of("a.jsonl", replaced("data/b.jsonl", pipe("b.jsonl"))),
        becomes_a_pipe=True,
    ),
    normalise("jsonl: CRLF and a mark in a text", table(line({"content": "\ufeffx = 1\r\n"})), "x = 1\n"),
    normalise(
        "jsonl: a mark, CRLF and blank lines between rows",
        rows(b"\xef\xbb\xbf" + lines([*MANY, "x = 1\n"]).replace(b"\n", b"\r\n\r\n")),
        "x = 1\n",
    ),
    normalise("jsonl: no line end at the end", table(b'{"content": "x = 1"}'), "x = 1"),
    normalise(
        "jsonl: fields that nobody needs and that are no text",
        table(b'{"content": "x = 1", "n": NaN, "content ": [1], "path": 7}\n'),
        "x = 1",
    ),
    normalise("jsonl: special tokens in code", table(line({"content": MARKED})), MARKED, prepared=no_special_token_in),
    normalise(
        "jsonl: an archive of several parts, one of them empty",
        rows(gzipped(GOOD_LINES) + gzipped(b"") + gzipped(lines(["x = 1"])), "a.jsonl.gz"),
        "x = 1",
    ),
    refuse(
        "jsonl: more than one broken line in a hundred",
        rows(GOOD_LINES + b"oops\n" + b"{}\n"),
        "2 of 152 lines are broken, more than one in a hundred.\nThe first is a.jsonl:151 (not JSON)",
    ),
    refuse("jsonl: UTF-16", rows(GOOD_LINES.decode().encode("utf-16")), "are broken", "a.jsonl:1 (not UTF-8)"),
    refuse("jsonl: an archive without its ending", rows(gzipped(GOOD_LINES)), "are broken", "a.jsonl:1 (not UTF-8)"),
    refuse(
        "jsonl: a table with commas", rows(b"content,n\n" + b"x = 1,7\n" * 200), "are broken", "a.jsonl:1 (not JSON)"
    ),
    refuse("jsonl: one object over many lines", rows(b'{\n"content":\n"x"\n}\n'), "a.jsonl:1 (not JSON)"),
    refuse("jsonl: a gzip file that is cut off", rows(gzipped(noise(99))[:-9], "a.jsonl.gz"), "a.jsonl.gz is cut off"),
    refuse("jsonl: a gzip file that is none", rows(GOOD_LINES, "a.jsonl.gz"), "a.jsonl.gz cannot be unpacked"),
    refuse(
        "jsonl: a gzip file with a wrong checksum",
        rows(gzipped(GOOD_LINES)[:-8] + bytes(8), "a.jsonl.gz"),
        "a.jsonl.gz cannot be unpacked",
    ),
    refuse(
        "jsonl: a gzip file with something behind it",
        rows(gzipped(GOOD_LINES) + b"garbage", "a.jsonl.gz"),
        "a.jsonl.gz cannot be unpacked",
    ),
    refuse("jsonl: a gzip bomb", rows(gzip_bomb(400), "a.jsonl.gz"), "unpacks to more than 200 times its size"),
    refuse(
        "jsonl: a gzip bomb among good files",
        table(b"", make=lambda root: written(root / "b.jsonl.gz", gzip_bomb(400))),
        "b.jsonl.gz unpacks to more than 200 times its size",
    ),
    refuse(
        "jsonl: a gzip file with more in it than may be",
        rows(gzipped(noise(20_000)), "a.jsonl.gz", max_output_bytes=MEGABYTE),
        "a.jsonl.gz holds more than data.max_output_bytes=1,000,000 bytes",
    ),
    refuse("jsonl: a zstd file that is cut off", rows(zstandard.compress(noise(99))[:-9], "a.jsonl.zst"), "is cut off"),
    refuse("jsonl: a zstd file that is none", rows(GOOD_LINES, "a.jsonl.zst"), "a.jsonl.zst cannot be unpacked"),
    refuse("jsonl: a zstd bomb", rows(zstd_bomb(400), "a.jsonl.zst"), "unpacks to more than 200 times its size"),
    refuse(
        "jsonl: a zstd file that wants 256 MB of memory",
        rows(zstd_with_a_window_of_256_megabytes(), "a.jsonl.zst"),
        "a.jsonl.zst cannot be unpacked",
        "too much memory",
    ),
    refuse(
        "jsonl: a terabyte of nothing",
        rows(b"", make=sparse("b.jsonl", 1 << 40), max_output_bytes=100 * MEGABYTE),
        "b.jsonl holds more than data.max_output_bytes=100,000,000 bytes",
    ),
    refuse("jsonl: a NUL in a path", lambda place: jsonl.Config(path="~\0"), "data.path='~\\x00'"),
    refuse("jsonl: a NUL in a glob", lambda place: jsonl.Config(path="a\0/*.jsonl"), "data.path='a\\x00/*.jsonl'"),
    refuse("jsonl: a column that no line has", table(b"", license_column="licence"), "no line has a field 'licence'"),
    refuse(
        "jsonl: no file of JSON lines", rows(b"", "a.txt"), "there is no .jsonl or .jsonl.gz or .jsonl.zst file in it"
    ),
]

UNREADABLE = "a.parquet is no Parquet file that can be read, or not all of one"
PARQUET = [
    skip("parquet: a row without text", columns(pa.array([None], pa.string())), "row without text"),
    skip("parquet: a text that is not UTF-8", columns(pa.array([b"\xe9"]).view(pa.string())), "not UTF-8"),
    skip("parquet: a lone surrogate", columns(pa.array([b"\xed\xa0\x80"]).view(pa.string())), "not UTF-8"),
    skip("parquet: a NUL", columns(pa.array(["x\0"])), "binary file"),
    skip("parquet: a text of white space", columns(pa.array([" \n"])), "empty file"),
    skip("parquet: a pipe", columns(make=pipe("b.parquet")), "not a regular file"),
    skip("parquet: a link out of the folder", columns(make=link("../outside/secret.py", "b.parquet")), "link"),
    skip(
        "parquet: a file that vanishes",
        columns(make=lambda root: written(root / "b.parquet", "x")),
        "vanished while scanning",
        arrange=at_the_first_opening_of("a.parquet", gone("data/b.parquet")),
    ),
    skip(
        "parquet: one text of 5 MB forty times",
        parquet_that_gives_one_long_text_again_and_again(),
        "exact duplicate",
        count=39,
        good=[*MANY, "x" * 5 * MEGABYTE],
        mebibytes=250,
    ),
    skip(
        "parquet: a text over the limit",
        columns(pa.array(["x" * 1_000_001])),
        "text over 1,000,000 bytes",
    ),
    normalise("parquet: CRLF and a mark", columns(pa.array(["\ufeffx = 1\r\n"])), "x = 1\n"),
    normalise("parquet: special tokens in code", columns(pa.array([MARKED])), MARKED, prepared=no_special_token_in),
    refuse(
        "parquet: one text of 300 MB",
        columns(make=lambda root: parquet_with_a_text_of(300, root / "b.parquet")),
        "b.parquet: 'content' unpacks to more than 200 times its size",
    ),
    refuse("parquet: cut off", damaged_parquet(lambda data: data[: len(data) // 2]), UNREADABLE),
    refuse("parquet: without its last byte", damaged_parquet(lambda data: data[:-1]), UNREADABLE),
    refuse("parquet: without bytes", damaged_parquet(lambda data: b""), UNREADABLE),
    refuse("parquet: JSON lines", damaged_parquet(lambda data: GOOD_LINES), UNREADABLE),
    refuse("parquet: a letter changed", damaged_parquet(lambda d: d[:9000] + b"\xff" + d[9001:]), UNREADABLE),
    refuse("parquet: a hole in it", damaged_parquet(lambda d: d[:100] + bytes(2000) + d[2100:]), UNREADABLE),
    refuse(
        "parquet: an index of 2 GB, by its own account",
        damaged_parquet(lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
        UNREADABLE,
    ),
    *(
        refuse(
            f"parquet: {rows:,} rows by its own account",
            parquet_that_says(lambda _, rows=rows: (thrift(len(MANY)), thrift(rows))),
            UNREADABLE,
        )
        for rows in (1 << 62, 1 << 31, 151, -1)
    ),
    refuse(
        "parquet: a column of a terabyte by its own account",
        parquet_that_says(lambda size: (thrift(size), thrift(1 << 40))),
        "a row group has 1,099,511,627,776 bytes in the column 'content', more than may be",
    ),
    refuse(
        "parquet: a column whose name is not UTF-8",
        parquet_that_says(lambda _: (b"content", b"conten\xff")),
        UNREADABLE,
    ),
    refuse(
        "parquet: statistics of another kind of column, at which pyarrow ends the process",
        parquet_that_says(lambda _: (b"\x26\0" + thrift(len(MANY)), b"\x36\0\0" + thrift(len(MANY)))),
        UNREADABLE,
        "what it says of its columns is damaged",
    ),
    refuse(
        "parquet: no such column", other_columns(contents=["x"]), "has no column 'content'; did you mean 'contents'?"
    ),
    refuse("parquet: numbers for texts", other_columns(content=[1]), "'content' has no text in it, but int64"),
    refuse("parquet: bytes for texts", other_columns(content=[b"x"]), "'content' has no text in it, but binary"),
    refuse("parquet: lists for texts", other_columns(content=[["x"]]), "'content' has no text in it, but list"),
]

HUB = [
    skip("hub: a row without text", dataset("a.jsonl", GOOD_LINES + line({"content": None})), "row without text"),
    skip("hub: a NUL", dataset("a.jsonl", GOOD_LINES + line({"content": "x\0"})), "binary file"),
    skip("hub: a text of white space", dataset("a.jsonl", GOOD_LINES + line({"content": "\n"})), "empty file"),
    skip(
        "hub: a text over the limit",
        dataset("a.jsonl", GOOD_LINES + line({"content": "x" * 999}), max_text_bytes=900),
        "text over 900 bytes",
    ),
    skip("hub: a pipe", dataset("a.jsonl", GOOD_LINES, pipe("b.jsonl")), "not a regular file"),
    skip("hub: a link to a device", dataset("a.jsonl", GOOD_LINES, link("/dev/zero", "b.jsonl")), "link"),
    skip(
        "hub: a link out of the folder",
        dataset(
            "a.jsonl",
            GOOD_LINES,
            lambda root: (written(root.parent / "o.jsonl", GOOD_LINES), link("../o.jsonl", "b.jsonl")(root)),
        ),
        "link",
    ),
    skip("hub: two links to here", dataset("a.jsonl", GOOD_LINES, two_links_to_here), "link", count=2),
    normalise("hub: CRLF", dataset("a.jsonl", GOOD_LINES + line({"content": "x\r\n"})), "x\n"),
    refuse("hub: a line that is cut off", dataset("a.jsonl", GOOD_LINES + b'{"content": "x'), "it cannot be read"),
    refuse("hub: an integer of 5,000 digits", dataset("a.jsonl", b'{"content": ' + b"1" * 5000 + b"}"), "data.name="),
    refuse("hub: a gzip file that is cut off", dataset("a.jsonl.gz", gzipped(GOOD_LINES)[:-9]), "it cannot be read"),
    refuse("hub: a gzip bomb", dataset("a.jsonl.gz", gzip_bomb(700)), "a.jsonl.gz is packed", "data=jsonl"),
    refuse("hub: a gzip bomb of another ending", dataset("a.jsonl.foo", gzip_bomb(700)), "a.jsonl.foo is packed"),
    refuse(
        "hub: one text of 300 MB",
        dataset("a.parquet", lambda path: parquet_with_a_text_of(300, path)),
        "a.parquet: 'content' unpacks to more than 200 times its size",
    ),
    refuse(
        "hub: a description that leads out of the folder",
        dataset("a.jsonl", GOOD_LINES, link("../outside/secret.py", "README.md")),
        "README.md in it must be a regular file",
    ),
    refuse("hub: a NUL in a name", lambda place: hub.Config(name="a\0b"), "data.name='a\\x00b': it cannot be read"),
    refuse("hub: a Parquet file that is none", dataset("a.parquet", b"PAR1 not at all PAR1"), "it cannot be read"),
    refuse("hub: numbers for texts", dataset("a.jsonl", line({"content": 7})), "'content' has no text in it, but int"),
    refuse("hub: no such column", dataset("a.jsonl", line({"contents": "x"})), "has no column 'content'"),
    refuse("hub: no such split", dataset("a.jsonl", GOOD_LINES, split="tran"), "split tran: it cannot be read"),
    refuse("hub: nothing that is data", dataset("a.bin", b"\0"), "it cannot be read"),
    refuse("hub: a program", dataset("data.py", b"raise SystemExit('it was run')"), "it cannot be read"),
]

GIT = [
    skip("git: UTF-16", repository({"bad.py": "x = 1\n".encode("utf-16")}), "not UTF-8"),
    skip("git: utf-7", repository({"bad.py": "# coding: utf-7\n"}), "unsupported encoding"),
    skip("git: a file name that is not UTF-8", repository({"b\udce9d.py": "x = 1\n"}), "file name not UTF-8"),
    skip("git: a link out of the repository", repository(staged=staged_link), "symbolic link"),
    skip("git: a submodule", repository(staged=staged_submodule), "submodule"),
    skip("git: 20 MB of zeros", repository({"bad.py": bytes(20 * MEGABYTE)}), "file over 1,000,000 bytes"),
    skip(
        "git: a missing object",
        repository({"bad.py": "x = 1\n"}, harm=with_object("HEAD:bad.py", Path.unlink)),
        "object missing or damaged",
    ),
    skip(
        "git: an object that is cut off",
        repository({"bad.py": "x = 1\n"}, harm=with_object("HEAD:bad.py", cut_off)),
        "object missing or damaged",
    ),
    skip(
        "git: an object that says it is shorter",
        repository({"bad.py": "x" * 60}, harm=with_object("HEAD:bad.py", lying)),
        "object missing or damaged",
    ),
    skip(
        "git: an object that says it is shorter, given out as it is unpacked",
        repository(
            {"bad.py": "x" * 60},
            harm=lambda root: (
                with_object("HEAD:bad.py", lying)(root),
                in_git(root, "config", "core.bigFileThreshold", "1"),
            ),
        ),
        "object missing or damaged",
    ),
    skip(
        "git: another object in the place of one",
        repository(
            {"bad.py": "x" * 60},
            harm=with_object("HEAD:bad.py", lambda file: file.write_bytes(zlib.compress(b"blob 60\0" + b"y" * 60))),
        ),
        "object missing or damaged",
    ),
    normalise("git: CRLF", repository({"bad.py": "x = 1\r\n"}), "x = 1\n"),
    normalise(
        "git: Latin-1 with a cookie", repository({"bad.py": b"# coding: latin-1\n'\xe9'"}), "# coding: latin-1\n'é'"
    ),
    refuse("git: a missing tree", repository({"d/x.py": "x"}, harm=with_object("HEAD:d", Path.unlink)), "cannot list"),
    refuse("git: a missing commit", repository(harm=with_object("HEAD", Path.unlink)), "has no such commit"),
    refuse(
        "git: a broken HEAD",
        repository(harm=lambda root: written(root / ".git" / "HEAD", b"\xff\n")),
        "data.paths: ",
        "is no git repository",
    ),
    refuse("git: no such revision", repository(revision="nowhere"), "data.revision=nowhere", "has no such commit"),
    refuse("git: a revision that is an option", repository(revision="--all"), "'--all' is no name of a commit"),
    refuse("git: a folder that is no repository", repository_at(Path.mkdir), "is no git repository"),
    refuse("git: a pipe for a path", repository_at(os.mkfifo), "data.paths: ", "Not a directory"),
    refuse(
        "git: a repository without a commit",
        repository_at(lambda root: (root.mkdir(), in_git(root, "init", "-q"))),
        "has no such commit",
    ),
]

PACKAGES = [
    skip("packages: no record", without("RECORD"), "package without a record of its files"),
    skip("packages: no metadata", without("METADATA"), "package without a name"),
    skip("packages: a record that is not UTF-8", recorded(b"\xff\xfe.py,,\n"), "package with a damaged record"),
    skip("packages: a size that is no number", recorded(b"cat.py,sha256=x,many\n"), "package with a damaged record"),
    skip("packages: a path of 200,000 bytes", recorded(b"x" * 200_000 + b".py,,\n"), "package with a damaged record"),
    skip("packages: an empty record", recorded(b""), "package without a record of its files"),
    skip("packages: a record of other things", recorded(b"\x7fELF\x02,,\n"), "package without Python files"),
    skip("packages: a NUL in a path", recorded(b"c\0t/x.py,,\n"), "unreadable"),
    skip("packages: a path of over 4,096 bytes", recorded(b"x/" * 3000 + b"x.py,,\n"), "unreadable"),
    skip("packages: a name of 300 letters", recorded(b"x" * 300 + b".py,,\n"), "unreadable"),
    skip("packages: a blank line in a record", recorded(b"\ncat.py,,\n"), "file that is not there any more"),
    skip("packages: a file that is gone", recorded(b"cat.py,,\n"), "file that is not there any more"),
    skip("packages: a file outside", recorded(b"../outside/secret.py,,\n"), "file outside the environment"),
    skip("packages: a device", recorded(b"cat.py,,\n", link("/dev/zero", "cat.py")), "link"),
    skip("packages: a link outside", recorded(b"cat.py,,\n", link("../outside/secret.py", "cat.py")), "link"),
    skip(
        "packages: a linked folder outside",
        recorded(b"cat/secret.py,,\n", link("../outside", "cat")),
        "file outside the environment",
    ),
    skip(
        "packages: a folder for a file", recorded(b"cat.py,,\n", lambda s: (s / "cat.py").mkdir()), "not a regular file"
    ),
    skip("packages: damaged JSON beside the record", with_origin("{"), "package with a damaged record"),
    skip("packages: deeply nested JSON", with_origin("[" * 100_000), "package with a damaged record"),
    skip("packages: a list for an origin", with_origin("[]"), "package with a damaged record"),
    skip("packages: a list for a folder", with_origin('{"dir_info": [1]}'), "package with a damaged record"),
    *(
        skip(f"packages: {what} for {name}", as_record(name, make), f"package with {reason}")
        for name, reason in {
            "METADATA": "damaged metadata",
            "RECORD": "a damaged record",
            "direct_url.json": "a damaged record",
        }.items()
        for what, make in {
            "a pipe": os.mkfifo,
            "a link to a device": lambda path: path.symlink_to("/dev/zero"),
            "a terabyte of nothing": lambda path: sparse(path.name, 1 << 40)(path.parent),
            "Latin-1": lambda path: written(path, b"Name: c\xe9t\n"),
        }.items()
    ),
    skip("packages: a record of a million lines", recorded(b"a.py\n" * MEGABYTE), "package with a damaged record"),
    skip(
        "packages: a pipe for the records",
        environment(lambda s: os.mkfifo(s / "cat.egg-info")),
        "package with damaged metadata",
    ),
    skip("packages: a folder that is a loop", recorded(b"cat/x.py,,\n", link("cat", "cat")), "unreadable"),
    skip("packages: a list for an object", with_origin('{"dir_info": {"editable": [1]}}'), "package in editable mode"),
    skip(
        "packages: metadata of zeros",
        environment(lambda s: install(s, "c", metadata="\0" * 99)),
        "package without a name",
    ),
    skip(
        "packages: a file for the records",
        environment(lambda site: written(site / "cat-1.0.dist-info", "x")),
        "package without a name",
    ),
    skip(
        "packages: a link for the records",
        environment(lambda site: (site / "cat-1.0.dist-info").symlink_to("nowhere")),
        "package without a name",
    ),
    skip(
        "packages: UTF-16",
        recorded(b"cat.py,,\n", lambda site: written(site / "cat.py", "x = 1\n".encode("utf-16"))),
        "not UTF-8",
    ),
    normalise(
        "packages: CRLF in a file and in the record",
        recorded(b"cat.py,,\r\n", lambda site: written(site / "cat.py", "x = 1\r\n")),
        "x = 1\n",
    ),
    refuse(
        "packages: a NUL in the path of the environment",
        lambda place: packages.Config(environment="a\0b"),
        "data.environment='a\\x00b': it cannot be read",
    ),
    refuse("packages: no environment", environment_at(Path.mkdir), "it is no environment"),
    refuse("packages: a file for an environment", environment_at(Path.touch), "it cannot be read (Not a directory)"),
    refuse("packages: a pipe for an environment", environment_at(os.mkfifo), "it cannot be read (Not a directory)"),
]

GOOD_PART = {"source": "folder", "path": "."}
MIXTURE = [
    skip("mixture: a bad file in a part", mixed(build=code({"bad.py": b"\xff"})), "not UTF-8", good=[*FEW, OTHER]),
    skip(
        "mixture: a broken line in a part",
        mixed(build=table(b"oops\n")),
        "broken line: not JSON",
        good=[*MANY, OTHER],
    ),
    skip(
        "mixture: a pipe in a part",
        mixed(build=columns(make=pipe("b.parquet"))),
        "not a regular file",
        good=[*MANY, OTHER],
    ),
    normalise("mixture: CRLF in a part", mixed(build=code({"bad.py": b"x\r\n"})), "x\n", good=[*FEW, OTHER]),
    refuse("mixture: no parts", no_parts, "data=mixture needs its parts"),
    refuse("mixture: a part that is a word", mixed("folder"), "data.parts, part 2: a part is a mapping"),
    refuse("mixture: no such source", mixed({"source": "cloud"}), "part 2: data.source='cloud' is no source"),
    refuse("mixture: no such setting", mixed({**GOOD_PART, "pth": "x"}), "part 2: data.pth is no setting"),
    refuse("mixture: a number for a path", mixed({"source": "folder", "path": 7}), "data.path=7 is of the wrong type"),
    refuse("mixture: a weight that is no number", mixed({**GOOD_PART, "weight": float("nan")}), "part 2: weight=nan"),
    refuse("mixture: a mixture in it", mixed({"source": "mixture"}), "part 2: a mixture is no part of a mixture"),
    refuse(
        "mixture: a part that is not there", mixed({"source": "folder", "path": "/nowhere"}), "data.parts, part 2: "
    ),
    refuse(
        "mixture: a bomb in a part", mixed(build=rows(gzip_bomb(200), "a.jsonl.gz")), "data.parts, part 2: a.jsonl.gz"
    ),
    refuse(
        "mixture: a Parquet file that is none", mixed(build=damaged_parquet(lambda d: d[:9])), "part 2: a.parquet is no"
    ),
]

NO_SPACE = ("There is no space left in", "for the prepared data.\nFree some there", "cache_dir=")
CACHE = [
    normalise("cache: a store that is cut off", prepared_before(truncated("documents.jsonl")), prepared=made_anew),
    normalise("cache: a vocabulary that is cut off", prepared_before(truncated("tokenizer.json")), prepared=made_anew),
    normalise("cache: facts that are cut off", prepared_before(truncated("facts.json")), prepared=made_anew),
    normalise("cache: a manifest that is cut off", prepared_before(truncated("manifest.json")), prepared=made_anew),
    normalise(
        "cache: tokens that are gone", prepared_before(lambda e: (e / "val.ids.npy").unlink()), prepared=made_anew
    ),
    normalise(
        "cache: a manifest that is no text",
        prepared_before(lambda entry: written(entry / "manifest.json", b"\xff\xfe")),
        prepared=made_anew,
    ),
    normalise(
        "cache: a file that has grown",
        prepared_before(lambda e: os.truncate(e / "train.npy", 9999)),
        prepared=made_anew,
    ),
    normalise(
        "cache: what a killed process has left",
        prepared_before(left_by_a_process_that_is_no_more),
        prepared=made_anew,
    ),
    normalise("cache: of other settings", of_other_settings, prepared=made_anew),
    normalise("cache: of files that were others", of_files_that_were_others, prepared=made_anew),
    *(
        refuse(f"cache: a full disk at {name}", code(), *NO_SPACE, arrange=full_disk(name, **how), whole=True)
        for name, how in {
            "documents.jsonl": {"room": 200},
            "signatures": {"from_close_on": True},
            "train.*": {},
            "tokenizer.json": {},
            "facts.json": {},
            "manifest.json": {},
        }.items()
    ),
    refuse(
        "cache: a full disk at the closing of the store",
        code(),
        *NO_SPACE,
        arrange=full_disk("documents.jsonl", from_close_on=True),
        whole=True,
    ),
]

ROWS = [*FOLDER, *JSONL, *PARQUET, *HUB, *GIT, *PACKAGES, *MIXTURE, *CACHE]


class _Late(BaseException):
    """Not an Exception: nobody takes it for an error of the system."""


@dataclass
class _Watch:
    """What one run took, and what it opened."""

    seconds: float = 0
    mebibytes: float = 0
    opened: list[str] = field(default_factory=list)


_watches: list[_Watch] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watches and isinstance(arguments[0], str | bytes | os.PathLike):
        _watches[-1].opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hear)  # there is no way to take it away again: it hears nothing while nobody watches


def _status(name: str) -> float:
    """A figure of this process in MiB: VmRSS, what it holds, or VmHWM, the most it has held."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


@contextmanager
def watched(seconds: float) -> Iterator[_Watch]:
    """Measure what goes on, and end it where it takes twice the time it may."""

    def late(*_: object) -> None:
        raise _Late(f"still at it after {2 * seconds:g} s")

    previous = signal.signal(signal.SIGALRM, late)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # from here on, VmHWM is what is held at most
    watch, before, start = _Watch(), _status("VmRSS"), time.monotonic()
    _watches.append(watch)
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        _watches.remove(watch)
        watch.seconds, watch.mebibytes = time.monotonic() - start, _status("VmHWM") - before


@contextmanager
def user(stranger: bool) -> Iterator[None]:
    """Permissions are not for root: be another user for a while, if need be."""
    before = os.geteuid()
    if stranger and before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setenv("HOME", "/nonexistent")  # whose git trusts nobody


def good_of(row: Row, config: DataConfig) -> list[str]:
    if row.good is not None:
        return row.good
    return MANY if isinstance(config, TableConfig) or config.source == "hub" else FEW


def run(row: Row, config: DataConfig, place: Path) -> tuple[list[str], Funnel, Prepared | None]:
    """The texts that are left, what became of the others, and all that was prepared, if it was."""
    if row.whole:
        prepared = prepare(config, place / "cache")
        documents = [*prepared.train_documents, *prepared.val_documents]
        return [document.text for document in documents], prepared.funnel, prepared
    (place / "work").mkdir()
    (place / "work").chmod(0o777)
    with user(row.stranger):
        collection = collect(config, place / "work")
    return [document.text for document in collection.documents], collection.funnel, None


def is_a_pipe_or_a_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (a path may be relative, or no path at all)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and path not in ("/dev/null", "/dev/urandom")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_malformed_does_what_it_should_and_costs_little(
    row: Row, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = row.build(place)
    if row.arrange:
        row.arrange(monkeypatch, place)
    refusal, texts, funnel, prepared = None, [], Funnel(), None
    with watched(row.seconds) as watch:
        try:
            texts, funnel, prepared = run(row, config, place)
        except ValueError as error:
            refusal = error
    monkeypatch.undo()

    if isinstance(row.outcome, Refuse):
        assert refusal is not None, f"it went on: {funnel.dropped}"
        assert type(refusal) is ValueError, "an error of somebody else's, by chance of the right kind"
        said = str(refusal)
        assert said.count("\n") <= 1 and len(said) < 1000
        assert [words for words in row.outcome.words if words not in said] == [], said
    else:
        assert refusal is None, refusal
        good = good_of(row, config)
        if config.unit == "function":
            good = [text.rstrip("\n") for text in good]
        more = list(row.outcome.texts) if isinstance(row.outcome, Normalise) else []
        assert sorted(texts) == sorted([*good, *more])
        assert funnel.kept_documents == len(texts)
    if isinstance(row.outcome, Skip):
        assert funnel.dropped == row.outcome.counts
    if isinstance(row.outcome, Normalise):
        assert funnel.dropped == {}
        assert row.outcome.prepared is None or (prepared is not None and row.outcome.prepared(prepared))

    assert watch.seconds < row.seconds
    assert watch.mebibytes < row.mebibytes
    assert row.becomes_a_pipe or [path for path in watch.opened if is_a_pipe_or_a_device(path)] == []
    assert "Traceback" not in "".join(capfd.readouterr())
    if (place / "cache").exists():
        assert [path.name for path in (place / "cache").iterdir() if path.name.startswith(".")] == []


def test_the_table_has_rows_of_each_class_and_each_name_once() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60
    counts = {kind: sum(isinstance(row.outcome, kind) for row in ROWS) for kind in (Refuse, Skip, Normalise)}
    assert min(counts.values()) >= 15
