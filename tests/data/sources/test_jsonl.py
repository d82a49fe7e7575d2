"""The source `jsonl` reads rows of plain and packed files, counts what is broken and gives up where too much is."""

import gzip
import json
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import zstandard

from sprig.data.documents import Document, Skips
from sprig.data.sources import jsonl
from sprig.data.sources.jsonl import Config, documents, state

CODE = "def f(x):\n    return x\n"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.compress,
    ".jsonl.zst": zstandard.compress,
}
SEVERAL_FIELDS = {"text": CODE, "repo": "me/it", "file": "src/a.py", "rights": "MIT", "lang": "Python", "stars": 7}


def lines_of(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def good(count: int) -> bytes:
    return lines_of(*({"content": f"x = {number}\n"} for number in range(count)))


def read(path: Path | str, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(path=str(path), **settings), skips)), skips


@pytest.mark.parametrize("ending", PACKERS)
def test_each_line_is_a_document_named_by_its_file_and_line(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(PACKERS[ending](good(2)))
    name = f"a{ending}"
    assert read(tmp_path) == (
        [Document("x = 0\n", f"{name}:1", group=f"{name}:1"), Document("x = 1\n", f"{name}:2", group=f"{name}:2")],
        Skips(),
    )
    assert read(tmp_path / name) == read(tmp_path)


def test_columns_say_where_code_comes_from_and_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of(SEVERAL_FIELDS))
    columns = {"path": "file", "group": "repo", "license": "rights", "language": "lang"}
    settings = {f"{name}_column": column for name, column in columns.items()}
    found, _ = read(tmp_path, text_column="text", **settings)
    assert found == [Document(CODE, "src/a.py", group="me/it", language="python", license="MIT")]


def test_rows_that_say_no_language_have_the_one_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of({"content": CODE, "file": "a"}, {"content": CODE, "file": "a.c"}))
    found, _ = read(tmp_path, language="python", path_column="file")
    assert [document.language for document in found] == ["python", "c"]
    with pytest.raises(
        ValueError, match=r"data\.language: 'Pyhton' is no language of the table\. Did you mean 'python'"
    ):
        read(tmp_path, language="Pyhton")


@pytest.mark.parametrize(("name", "language"), [("Python", "python"), ("py", "python"), ("Klingon", ""), (None, "c")])
def test_a_language_is_one_of_our_table_or_not_known(tmp_path: Path, name: str | None, language: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of({"content": CODE, "lang": name, "path": "a.c"}))
    (found,), _ = read(tmp_path, language_column="lang", path_column="path")
    assert (found.language, found.group) == (language, "a.c")


def test_a_path_from_a_stranger_commands_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of({"content": CODE, "path": "a\x1b[2J.py\n"}))
    (found,), _ = read(tmp_path, path_column="path")
    assert found.path.isprintable()


def test_text_is_normalised_as_that_of_a_file(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines_of({"content": "\ufeffx = 1\r\ny = 2\rz = 3"}, {"content": " \n"})
    (tmp_path / "a.jsonl").write_bytes(content.replace(b"}\n", b"}\r\n\n"))
    found, skips = read(tmp_path)
    assert [document.text for document in found] == ["x = 1\ny = 2\nz = 3"]
    assert (skips.counts, skips.examples) == ({"empty file": 1}, {"empty file": "a.jsonl:3"})


BROKEN = [
    ("not JSON", b"{'content': 1}"),
    ("not JSON", b'{"content": "x = 1'),
    ("not JSON", b"[" * 100_000),
    ("not JSON", b'{"content": "x", "n": ' + b"1" * 5000 + b"}"),
    ("not an object", b'["x = 1"]'),
    ("no field 'content'", b'{"contents": "x = 1", "id": 3}'),
    ("no text in the field 'content'", b'{"content": null}'),
    ("no text in the field 'content'", b'{"content": ["x"]}'),
    ("no text in the field 'path'", b'{"content": "x", "path": 7}'),
    ("lone surrogates", rb'{"content": "x = \ud800"}'),
    ("lone surrogates", rb'{"content": "x", "path": "\ud800"}'),
    ("binary file", rb'{"content": "x \u0000"}'),
    ("not UTF-8", b'{"content": "\xe9"}'),
    ("over 10,000,000 bytes", b'{"content": "' + b"x" * 10_000_000 + b'"}'),
]


@pytest.mark.parametrize(("reason", "line"), BROKEN)
def test_a_broken_line_is_counted_with_its_number_and_the_others_are_read(
    tmp_path: Path, reason: str, line: bytes
) -> None:
    row = lines_of({"content": CODE, "path": None})
    (tmp_path / "a.jsonl").write_bytes(row * 150 + line + b"\n" + row)
    found, skips = read(tmp_path, path_column="path")
    assert len(found) == 151
    assert skips.counts == {f"broken line: {reason}": 1}
    assert skips.examples == {f"broken line: {reason}": "a.jsonl:151"}


def test_one_broken_line_in_a_hundred_is_borne(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(good(50) + b"oops\n" + good(49))
    found, skips = read(tmp_path)
    assert (len(found), skips.counts) == (99, {"broken line: not JSON": 1})


def test_one_broken_line_in_ninety_nine_ends_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(good(50))
    (tmp_path / "b.jsonl").write_bytes(b"\n" + good(10) + b"oops\n" + good(38))
    with pytest.raises(ValueError, match=r"1 of 99 lines are broken.*\n.*first is b\.jsonl:12 \(not JSON\)\.$"):
        read(tmp_path)


def test_from_the_thousandth_line_on_nobody_waits_for_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"oops\n" * 101 + good(899) + b"oops\n" * 5000)
    skips, found = Skips(), []
    with pytest.raises(ValueError, match=r"101 of 1,000 lines are broken, .*in 10\.\n.*first is a\.jsonl:1 "):
        found.extend(documents(Config(path=str(tmp_path)), skips))
    (tmp_path / "a.jsonl").write_bytes(b"oops\n" * 100 + good(900) + good(8) + b"oops\n" * 2000)
    with pytest.raises(ValueError, match=r"101 of 1,009 lines are broken"):
        found.extend(documents(Config(path=str(tmp_path)), skips))


def test_many_broken_lines_at_the_start_of_many_are_borne(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"oops\n" * 20 + good(1980))
    found, skips = read(tmp_path)
    assert (len(found), skips.counts["broken line: not JSON"]) == (1980, 20)
    (tmp_path / "a.jsonl").write_bytes(b"oops\n" * 21 + good(1979))
    with pytest.raises(ValueError, match=r"21 of 2,000 lines are broken, more than one in 100\."):
        read(tmp_path)


@pytest.mark.parametrize("name", ["A.JSONL.GZ", "A.Jsonl.Zst"])
def test_the_case_of_an_ending_does_not_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKERS[name[1:].lower()](good(3)))
    assert len(read(tmp_path)[0]) == 3


def test_what_a_licence_column_holds_is_a_licence_only_if_it_is_understood(tmp_path: Path) -> None:
    said = [
        "apache-2.0",
        "MIT  OR ISC",
        "[/mit]",
        "[/bold]",
        "\x1b]0;MIT\x07 or so",
        "free text " * 1000,
        "Proprietary",
    ]
    (tmp_path / "a.jsonl").write_bytes(lines_of(*({"content": CODE, "license": words} for words in said)))
    found = [document.license for document in read(tmp_path, license_column="license")[0]]
    assert found == ["Apache-2.0", "MIT OR ISC", "MIT", "", "", "", ""]


def test_a_column_that_no_line_has_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of({"content": CODE, "license": "MIT"}, {"content": CODE}))
    assert [document.license for document in read(tmp_path, license_column="license")[0]] == ["MIT", ""]
    with pytest.raises(ValueError, match="no line has a field 'licence'; did you mean 'license'"):
        read(tmp_path, license_column="licence")


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
def test_a_file_of_several_parts_is_read_to_its_end(tmp_path: Path, ending: str) -> None:
    packed = PACKERS[ending](good(3)) + PACKERS[ending](b"") + PACKERS[ending](good(2)[:-1])
    (tmp_path / f"a{ending}").write_bytes(packed)
    assert len(read(tmp_path)[0]) == 5


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("left", [5, 0.5, -1])
def test_a_file_that_is_cut_off_is_an_error_of_one_line(tmp_path: Path, ending: str, left: float) -> None:
    packed = PACKERS[ending](lines_of(*({"content": os.urandom(99).hex()} for _ in range(99))))
    (tmp_path / f"a{ending}").write_bytes(packed[: int(len(packed) * left) if left == 0.5 else int(left)])
    with pytest.raises(ValueError, match=rf"^a{ending} is cut off: its last part has no end\. Fetch it again\.$"):
        read(tmp_path)


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("where", ["beginning", "end"])
def test_a_file_that_is_no_archive_is_an_error_of_one_line(tmp_path: Path, ending: str, where: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(good(9) if where == "beginning" else PACKERS[ending](good(9)) + b"garbage!!")
    with pytest.raises(ValueError, match=rf"^a{ending} cannot be unpacked: .+$") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
def test_a_bomb_is_an_error_and_takes_no_memory(tmp_path: Path, ending: str) -> None:
    packer = zlib.compressobj(9, wbits=31) if ending.endswith("gz") else zstandard.ZstdCompressor(19).compressobj()
    with (tmp_path / f"a{ending}").open("wb") as file:
        for _ in range(300):
            file.write(packer.compress(bytes(1_000_000)))
        file.write(packer.flush())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf"^a{ending} unpacks to more than 200 times its size"):
        read(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120_000  # kB


def test_a_window_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "a.jsonl.zst").write_bytes(packer.compress(good(9)) + packer.flush())
    with pytest.raises(ValueError, match=r"cannot be unpacked: .*too much memory"):
        read(tmp_path)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_file_holds_no_more_than_it_may(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(PACKERS[ending](good(9)))
    size = len(good(9))
    assert len(read(tmp_path, max_output_bytes=size)[0]) == 9
    with pytest.raises(ValueError, match=f"more than data.max_output_bytes={size - 1} bytes"):
        read(tmp_path, max_output_bytes=size - 1)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_line_may_be_as_long_as_it_may_and_no_longer_wherever_pieces_end(tmp_path: Path, ending: str) -> None:
    row = lines_of({"content": os.urandom(2_000_000).hex()})
    (tmp_path / f"a{ending}").write_bytes(PACKERS[ending](good(300) + row + good(1) + row[:-1]))
    long = {"max_text_bytes": len(row)}
    assert len(read(tmp_path, max_line_bytes=len(row) - 1, **long)[0]) == 303
    found, skips = read(tmp_path, max_line_bytes=len(row) - 2, **long)
    assert len(found) == 301
    assert skips.counts == {f"broken line: over {len(row) - 2:,} bytes": 2}


@pytest.mark.parametrize("ending", PACKERS)
def test_ten_documents_of_a_large_file_read_little_of_it(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = lines_of(*({"content": os.urandom(500).hex()} for _ in range(20_000)))
    (tmp_path / f"a{ending}").write_bytes(PACKERS[ending](rows))
    streams = []
    opened = jsonl.files_of_tables.open_regular
    monkeypatch.setattr(jsonl.files_of_tables, "open_regular", lambda file: streams.append(opened(file)) or streams[0])
    found = documents(Config(path=str(tmp_path)), Skips())
    assert len(list(islice(found, 10))) == 10
    assert streams[0].tell() <= 1 << 20 < (tmp_path / f"a{ending}").stat().st_size / 8
    found.close()  # type: ignore[attr-defined]
    assert streams[0].closed


def test_files_come_in_the_order_of_their_names_and_others_are_counted(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/z.jsonl", "a/b/c.JSONL", "a.jsonl", ".cache/x.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(good(1))
    (tmp_path / "README.md").touch()
    (tmp_path / "link.jsonl").symlink_to("b.jsonl")
    (tmp_path / "empty.jsonl").touch()
    os.mkfifo(tmp_path / "pipe.jsonl")
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["a/b/c.JSONL:1", "a/z.jsonl:1", "a.jsonl:1", "b.jsonl:1"]
    assert skips.examples == {
        "hidden folder": ".cache",
        "other file type": "README.md",
        "link": "link.jsonl",
        "empty file": "empty.jsonl",
        "not a regular file": "pipe.jsonl",
    }
    assert len(read(tmp_path / "link.jsonl")[0]) == 1
    assert [document.path for document in read(f"{tmp_path}/a/*.jsonl")[0]] == [f"{tmp_path}/a/z.jsonl:1"]
    assert len(read(f"{tmp_path}/**/*.jsonl")[0]) == 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "data.path needs a file, a folder or a glob of .jsonl, .jsonl.gz, .jsonl.zst"),
        ("missing.jsonl", "data.path=missing.jsonl: there is nothing to read (No such file or directory)"),
        ("*.jsonl", "data.path=*.jsonl: there is nothing to read"),
        ("folder", "data.path=folder: there is no .jsonl or .jsonl.gz or .jsonl.zst file in it"),
        ("links", "data.path=links: there is no .jsonl or .jsonl.gz or .jsonl.zst file in it (1 left out"),
        ("pipe", "data.path=pipe: it is neither a folder nor a regular file"),
        ("loop", "data.path=loop: there is nothing to read"),
    ],
)
def test_a_path_with_nothing_to_read_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.txt").touch()
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a.jsonl").symlink_to("../folder/a.txt")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError) as error:
        documents(Config(path=path), Skips())
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(good(1))
    (tmp_path / "b.jsonl").write_bytes(good(1))
    skips = Skips()
    found = documents(Config(path=str(tmp_path)), skips)
    next(found)
    (tmp_path / "b.jsonl").unlink()
    os.mkfifo(tmp_path / "b.jsonl")
    assert list(found) == []
    assert skips.examples == {"not a regular file": "b.jsonl"}


def test_without_zstandard_only_packed_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.jsonl").write_bytes(good(1))
    assert len(read(tmp_path)[0]) == 1
    (tmp_path / "b.jsonl.zst").write_bytes(b"")
    with pytest.raises(ValueError, match=r"need zstandard: pip install '\.\[hub\]' in Sprig's folder$"):
        documents(Config(path=str(tmp_path)), Skips())


def test_the_state_is_another_once_a_file_was_written_anew(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(good(1))
    before = list(state(Config(path=str(tmp_path))))
    assert before == list(state(Config(path=str(tmp_path))))
    os.utime(tmp_path / "a.jsonl", (0, 0))
    assert len(before) == 1
    assert before != list(state(Config(path=str(tmp_path))))


def test_the_sources_of_rows_import_nothing_slow() -> None:
    names = "jsonl, parquet, hub, mixture, packages"
    code = f"import sys; sys.path[:] = {sys.path}; from sprig.data.sources import {names}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    slow = {"torch", "numpy", "tokenizers", "pyarrow", "datasets", "huggingface_hub", "zstandard", "pandas"}
    assert not slow & set(modules.split())


def test_a_file_that_vanishes_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(good(1))
    lines = state(Config(path=str(tmp_path)))
    next(lines)
    (tmp_path / "b.jsonl").unlink()
    assert list(lines) == []


def test_a_plain_file_with_more_in_it_than_may_be_is_refused_before_any_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(good(1))
    (tmp_path / "b.jsonl").write_bytes(good(99))
    with pytest.raises(ValueError, match=r"^b\.jsonl holds more than data\.max_output_bytes=100 bytes\.$"):
        documents(Config(path=str(tmp_path), max_output_bytes=100), Skips())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b/c/d.jsonl", "b/e.jsonl"]),
        ("**", ["a.jsonl", "b/c/d.jsonl", "b/e.jsonl"]),
        ("*/**/[de].jsonl", ["b/c/d.jsonl", "b/e.jsonl"]),
        ("b/**/**/d.*", ["b/c/d.jsonl"]),
        ("?/e.jsonl", ["b/e.jsonl"]),
        (".h*/*.jsonl", [".hidden/f.jsonl"]),
        ("b/../*.jsonl", ["a.jsonl"]),
    ],
)
def test_a_glob_means_what_a_shell_takes_it_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, names: list[str]
) -> None:
    for name in ("a.jsonl", "b/c/d.jsonl", "b/e.jsonl", ".hidden/f.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(good(1))
    monkeypatch.chdir(tmp_path)
    expected = [f"{name}:1" if ".." not in pattern else f"b/../{name}:1" for name in names]
    assert [document.path for document in read(pattern)[0]] == expected


def test_links_up_to_the_first_wildcard_are_followed_and_none_behind_it(tmp_path: Path) -> None:
    (tmp_path / "real/x").mkdir(parents=True)
    (tmp_path / "real/x/a.jsonl").write_bytes(good(1))
    (tmp_path / "real/y").symlink_to("x")
    (tmp_path / "link").symlink_to("real")
    found, skips = read(f"{tmp_path}/link/*/a.jsonl")
    assert [document.path for document in found] == [f"{tmp_path}/link/x/a.jsonl:1"]
    assert skips.examples == {"link": f"{tmp_path}/link/y"}
    with pytest.raises(ValueError, match=r"there is no .* file in it \(1 left out, since they are links\)$"):
        documents(Config(path=f"{tmp_path}/link/y*/a.jsonl"), Skips())


@pytest.mark.parametrize("ending", PACKERS)
def test_of_a_snapshot_in_the_cache_of_the_hub_links_are_files(tmp_path: Path, ending: str) -> None:
    blobs, root = tmp_path / "datasets--me--it/blobs", tmp_path / "datasets--me--it/snapshots/0f"
    for folder in (blobs, root / "data"):
        folder.mkdir(parents=True)
    (blobs / "12ab").write_bytes(PACKERS[ending](good(2)))
    (root / f"data/a{ending}").symlink_to("../../../blobs/12ab")
    (root / "b.jsonl").symlink_to("../../../elsewhere.jsonl")
    (tmp_path / "elsewhere.jsonl").write_bytes(good(1))
    found, skips = read(root)
    assert [document.path for document in found] == [f"data/a{ending}:1", f"data/a{ending}:2"]
    assert skips.counts == {"link": 1}
    assert len(read(root / f"data/a{ending}")[0]) == len(read(f"{root}/*/a{ending}")[0]) == 2
    with pytest.raises(ValueError, match=r"holds more than data\.max_output_bytes=10 bytes\.$"):
        read(root / "data", max_output_bytes=10)
    before = list(state(Config(path=str(root))))
    os.utime(blobs / "12ab", (0, 0))
    assert before != list(state(Config(path=str(root))))
