"""The source `parquet` reads rows of text, a few at a time, and says in a line what is wrong with a file."""

import os
import resource
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sprig.data.documents import Document, Skips
from sprig.data.sources import parquet
from sprig.data.sources.parquet import Config, documents, state

CODE = "def f(x):\n    return x\n"


def write(path: Path, columns: dict[str, Any], **settings: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **settings)


def read(path: Path, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(path=str(path), **settings), skips)), skips


def test_each_row_is_a_document_in_order_of_files_and_rows(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet", {"content": [f"x = {number}" for number in range(20)]}, row_group_size=3)
    write(tmp_path / "a/c.parquet", {"content": ["y = 1"], "n": [1]})
    found, skips = read(tmp_path)
    assert found[0] == Document("y = 1", "a/c.parquet:1", group="a/c.parquet:1")
    assert [document.text for document in found[1:]] == [f"x = {number}" for number in range(20)]
    assert [document.path for document in found[1:]] == [f"b.parquet:{number}" for number in range(1, 21)]
    assert skips == Skips()


def test_columns_say_where_code_comes_from_and_what_it_is(tmp_path: Path) -> None:
    row = {"text": CODE, "repo": "me/it", "file": "src/a.py", "rights": "MIT", "lang": "Python", "stars": 7}
    write(tmp_path / "a.parquet", {name: [value, value] for name, value in row.items()})
    columns = {"path": "file", "group": "repo", "license": "rights", "language": "lang"}
    settings = {f"{name}_column": column for name, column in columns.items()}
    found, _ = read(tmp_path, text_column="text", **settings)
    assert found == [Document(CODE, "src/a.py", group="me/it", language="python", license="MIT")] * 2


KINDS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows_without_text_are_counted(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array([CODE, None, " \n", "x\0", "\ufeffx\r\ny"]).cast(kind)
    write(tmp_path / "a.parquet", {"content": texts, "path": [None] * 4 + ["é.py"]})
    found, skips = read(tmp_path, path_column="path")
    assert [(document.text, document.path) for document in found] == [(CODE, "a.parquet:1"), ("x\ny", "é.py")]
    assert skips.counts == {"row without text": 1, "empty file": 1, "binary file": 1}
    assert skips.examples["row without text"] == "a.parquet:2"


def test_text_that_is_not_utf_8_is_counted(tmp_path: Path) -> None:
    texts = pa.array([b"x = 1", b"\xe9", b"x = 2"]).view(pa.string())
    write(tmp_path / "a.parquet", {"content": texts})
    found, skips = read(tmp_path)
    assert ([document.text for document in found], skips.examples) == (
        ["x = 1", "x = 2"],
        {"not UTF-8": "a.parquet:2"},
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1], "int64"), ([b"x"], "binary"), ([["x"]], "list<"), ([{"a": "x"}], "struct<"), ([None], "")],
)
@pytest.mark.parametrize("column", ["content", "path"])
def test_a_column_of_something_else_is_an_error(tmp_path: Path, column: str, values: list[object], kind: str) -> None:
    write(tmp_path / "a.parquet", {"content": [CODE], "path": ["x"], column: values})
    with pytest.raises(ValueError, match=rf"^a.parquet: the column '{column}' has no text in it, but {kind}"):
        read(tmp_path, path_column="path")


def test_a_column_that_is_not_there_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"contents": [CODE], "id": [1]})
    with pytest.raises(ValueError, match=r"^a.parquet has no column 'content'; did you mean 'contents'\?$"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"^a.parquet has no column 'ib'; did you mean 'id'\?$"):
        read(tmp_path, text_column="contents", license_column="ib")


DAMAGES = {
    "cut off": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "empty": lambda data: b"",
    "text": lambda data: b"content\nx\n" * 99,
    "with a hole": lambda data: data[:100] + bytes(2000) + data[2100:],
    "with one letter changed": lambda data: data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:],
    "with a wrong length": lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_an_error_of_one_line_that_names_it(tmp_path: Path, damage: str) -> None:
    texts = [os.urandom(50).hex() for _ in range(500)]
    write(
        tmp_path / "a.parquet", {"content": texts}, write_page_checksum=True, use_dictionary=False, compression="none"
    )
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(DAMAGES[damage](data))
    with pytest.raises(
        ValueError, match=r"^a.parquet is no Parquet file that can be read, or not all of one: "
    ) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_ten_documents_of_a_large_file_read_little_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 8 << 20
    columns = {"content": [os.urandom(500).hex() for _ in range(20_000)], "other": [os.urandom(size)] + [b""] * 19_999}
    write(tmp_path / "a.parquet", columns, compression="none", use_dictionary=False)
    taken = []
    opened = parquet.files_of_tables.open_regular

    class Counting:
        def __init__(self, file: Path) -> None:
            self.stream = opened(file)

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def read(self, size: int = -1) -> bytes:
            taken.append(self.stream.read(size))
            return taken[-1]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    monkeypatch.setattr(parquet.files_of_tables, "open_regular", Counting)
    assert len(list(islice(documents(Config(path=str(tmp_path)), Skips()), 10))) == 10
    assert 0 < sum(map(len, taken)) < 3 << 20 < (tmp_path / "a.parquet").stat().st_size / 8


def test_one_long_text_given_a_thousand_times_does_not_fill_the_memory(tmp_path: Path) -> None:
    places = pa.array([0] * 1000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(places, pa.array(["x" * 5_000_000]))
    write(tmp_path / "a.parquet", {"content": texts}, store_schema=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = documents(Config(path=str(tmp_path), max_text_bytes=5_000_000), Skips())
    assert [len(document.text) for document in islice(found, 20)] == [5_000_000] * 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kB; all of them are 5,000,000


def test_other_files_are_counted_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"content": [CODE]})
    (tmp_path / "README.md").touch()
    os.mkfifo(tmp_path / "b.parquet")
    found, skips = read(tmp_path)
    assert len(found) == 1
    assert skips.examples == {"other file type": "README.md", "not a regular file": "b.parquet"}


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.parquet", {"content": [CODE]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"^Parquet files need .*: pip install '\.\[hub\]' in Sprig's folder$"):
        documents(Config(path=str(tmp_path)), Skips())


def test_the_state_is_another_once_a_file_was_written_anew(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"content": [CODE]})
    before = list(state(Config(path=str(tmp_path))))
    assert before == list(state(Config(path=str(tmp_path))))
    os.utime(tmp_path / "a.parquet", (0, 0))
    assert before != list(state(Config(path=str(tmp_path))))


def test_a_text_or_a_path_may_be_as_long_as_it_may_and_no_longer(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"content": ["x" * 99, "é" * 50, "é" * 49], "path": ["a", "b", "c" * 100]})
    found, skips = read(tmp_path, path_column="path", max_text_bytes=99)
    assert [document.path for document in found] == ["a"]
    assert (skips.counts, skips.examples) == ({"text over 99 bytes": 2}, {"text over 99 bytes": "a.parquet:2"})
    assert len(read(tmp_path, max_text_bytes=100)[0]) == 3


def test_a_row_group_may_be_as_large_as_it_may_and_no_larger(tmp_path: Path) -> None:
    texts = [os.urandom(500).hex() for _ in range(100)]
    write(tmp_path / "a.parquet", {"content": texts, "other": texts}, use_dictionary=False)
    size = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).total_uncompressed_size
    assert len(read(tmp_path, max_chunk_bytes=size)[0]) == 100
    with pytest.raises(ValueError, match=rf"^a.parquet: a row group has {size:,} bytes in the column 'content'"):
        read(tmp_path, max_chunk_bytes=size - 1)


def test_a_large_row_group_is_read_as_a_small_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.parquet", {"content": [f"x = {number}" for number in range(100)]})
    before = read(tmp_path)
    monkeypatch.setattr(parquet, "_LARGE", 100)
    assert read(tmp_path) == before


def test_a_snapshot_in_the_cache_of_the_hub_is_read_as_a_folder_or_by_one_of_its_files(tmp_path: Path) -> None:
    root = tmp_path / "datasets--me--it/snapshots/0f"
    root.mkdir(parents=True)
    write(tmp_path / "datasets--me--it/blobs/12ab", {"content": [CODE]})
    (root / "a.parquet").symlink_to("../../blobs/12ab")
    assert read(root) == read(root / "a.parquet") == ([Document(CODE, "a.parquet:1", group="a.parquet:1")], Skips())
