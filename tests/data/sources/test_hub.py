"""The source `hub` streams datasets of a folder without a network, and says in a line why one cannot be had."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # before anything of theirs is imported

import pyarrow as pa
import pyarrow.parquet as pq

from sprig.data.documents import Document, Skips
from sprig.data.sources.hub import Config, documents, state

CODE = "def f(x):\n    return x\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_parquet(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def write_jsonl(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(name: Path | str, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(name=str(name), **settings), skips)), skips


def test_a_folder_of_parquet_files_is_a_dataset(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train-0.parquet", {"content": [CODE, None, "x\r\n"], "n": [1, 2, 3]})
    write_parquet(tmp_path / "data/test-0.parquet", {"content": ["y = 1"], "n": [1]})
    found, skips = read(tmp_path)
    assert found[0] == Document(CODE, f"{tmp_path}/train:1", group=f"{tmp_path}/train:1")
    assert [document.text for document in found] == [CODE, "x\n"]
    assert skips.examples == {"row without text": f"{tmp_path}/train:2", "of another split": "data/test-0.parquet"}
    assert [document.text for document in read(tmp_path, split="test")[0]] == ["y = 1"]


def test_a_folder_of_json_lines_is_a_dataset_with_columns(tmp_path: Path) -> None:
    row = {"text": CODE, "repo": "me/it", "file": "src/a.py", "rights": "MIT", "lang": "Python", "stars": 7}
    write_jsonl(tmp_path / "train.jsonl", row, row)
    columns = {"path": "file", "group": "repo", "license": "rights", "language": "lang"}
    settings = {f"{name}_column": column for name, column in columns.items()}
    found, _ = read(tmp_path, text_column="text", **settings)
    assert found == [Document(CODE, "src/a.py", group="me/it", language="python", license="MIT")] * 2


def test_files_that_no_row_comes_from_are_counted(tmp_path: Path) -> None:
    for name in ("train-1.jsonl", "train-2.jsonl", "test.jsonl"):
        write_jsonl(tmp_path / name, {"content": CODE})
    write_parquet(tmp_path / "train-3.parquet", {"content": [CODE]})  # the library goes by the most frequent ending
    for name in ("notes.txt", "README.md"):
        (tmp_path / name).write_text("hello")
    found, skips = read(tmp_path)
    assert len(found) == 2 and skips.counts == {"other file type": 2, "of another split": 1}
    found, skips = read(tmp_path, split="test")
    assert len(found) == 1 and skips.counts == {"other file type": 2, "of another split": 2}


def test_a_subset_is_one_of_the_configurations_that_the_dataset_describes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", {"content": "a = 1"})
    write_jsonl(tmp_path / "b.jsonl", {"content": "b = 1"})
    configs = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in "ab")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    assert [document.text for document in read(tmp_path, subset="b")[0]] == ["b = 1"]
    with pytest.raises(ValueError, match=r"subset c: it cannot be read \(.*'c' not found.*\)$"):
        read(tmp_path, subset="c")
    with pytest.raises(ValueError, match=r"it cannot be read \(Config name is missing.*\)$"):
        read(tmp_path)


@pytest.mark.parametrize("write", ["jsonl", "parquet"])
def test_a_wrong_column_is_an_error(tmp_path: Path, write: str) -> None:
    if write == "jsonl":
        write_jsonl(tmp_path / "a.jsonl", {"contents": CODE, "id": 3})
    else:
        write_parquet(tmp_path / "a.parquet", {"contents": [CODE], "id": [3]})
    with pytest.raises(ValueError, match=r"has no column 'content'; did you mean 'contents'\?$"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"the column 'id' has no text in it, but int\.$"):
        read(tmp_path, text_column="id")


def test_ten_documents_of_a_large_dataset_read_little_of_it(tmp_path: Path) -> None:
    for number in range(20):
        rows = [{"content": os.urandom(500).hex()} for _ in range(1000)]
        write_jsonl(tmp_path / f"{number:02}.jsonl", *rows)
    for number in range(5, 20):
        (tmp_path / f"{number:02}.jsonl").write_text("this would end the run")
    assert len(list(islice(documents(Config(name=str(tmp_path)), Skips()), 10))) == 10
    with pytest.raises(ValueError, match="it cannot be read"):
        read(tmp_path)


DAMAGES = {
    "JSON": ("a.jsonl", b'{"content": "x"'),
    "Parquet": ("a.parquet", b"PAR1 not at all PAR1"),
    "nothing": ("a.bin", b""),
    "a script": (None, b"raise SystemExit('code of a stranger was run')"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_no_dataset_is_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    name, data = DAMAGES[damage]
    (tmp_path / (name or f"{tmp_path.name}.py")).write_bytes(data)
    with pytest.raises(ValueError, match=r"^data.name=.*, split train: it cannot be read \(.+\)$") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_name_is_needed() -> None:
    with pytest.raises(ValueError, match=r"data=hub needs a dataset: data.name="):
        documents(Config(), Skips())


@pytest.mark.parametrize("ask", ["list(documents(config, Skips()))", "list(state(config))"])
def test_what_the_network_says_is_one_line(ask: str, tmp_path: Path) -> None:
    code = f"from sprig.data.sources.hub import *; config = Config(name='nobody/nothing'); {ask}"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ValueError")]
    assert line.startswith("ValueError: data.name=nobody/nothing, split train: it cannot be read (")
    assert result.stderr.rstrip().endswith(line)
    assert "During handling" not in result.stderr


def test_without_datasets_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"^Datasets of the Hub need .*: pip install '\.\[hub\]' in Sprig's folder$"):
        documents(Config(name="x/y"), Skips())


def test_the_state_is_that_of_the_files_or_the_commit(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", {"content": CODE})
    config = Config(name=str(tmp_path))
    before = list(state(config))
    assert before == list(state(config))
    os.utime(tmp_path / "a.jsonl", (0, 0))
    assert before != list(state(config))
    assert list(state(Config(name="x/y", revision="0f" * 20))) == ["0f" * 20]


def test_what_is_read_is_the_commit_that_the_data_is_known_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where somebody pushes another one meanwhile."""
    import datasets
    import huggingface_hub

    commits, asked = iter(["a" * 40, "b" * 40]), []
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: SimpleNamespace(sha=next(commits)))

    def builder(*_: object, revision: str) -> None:
        asked.append(revision)
        raise OSError("far enough")

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    config = Config(name="some/pushed", revision="main")
    [known] = state(config)
    with pytest.raises(ValueError, match="far enough"):
        list(documents(config, Skips()))
    assert asked == [known] == ["a" * 40]


def test_what_is_no_regular_file_of_the_folder_is_counted_and_not_read(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_jsonl(root / "a.jsonl", {"content": "a = 1"})
    write_jsonl(tmp_path / "outside.jsonl", {"content": "secret = 1"})
    (root / "b.jsonl").symlink_to("../outside.jsonl")
    os.mkfifo(root / "c.jsonl")
    (root / "d").symlink_to("..")
    found, skips = read(root)
    assert [document.text for document in found] == ["a = 1"]
    assert skips.counts == {"link": 2, "not a regular file": 1}
    (root / "README.md").write_text("---\nconfigs:\n- config_name: x\n  data_files: ['../outside.jsonl']\n---\n")
    with pytest.raises(ValueError, match=r"no regular file of train is in the folder\)$"):
        read(root)


def cached(place: Path, files: dict[str, bytes]) -> Path:
    """A snapshot as the Hub's own library leaves it in its cache: each file is a link to a blob."""
    store = place / "datasets--me--it"
    (store / "blobs").mkdir(parents=True)
    for number, (name, content) in enumerate(files.items()):
        link = store / "snapshots" / ("0f" * 20) / name
        link.parent.mkdir(parents=True, exist_ok=True)
        (store / "blobs" / f"{number:040x}").write_bytes(content)
        link.symlink_to(os.path.relpath(store / "blobs" / f"{number:040x}", link.parent))
    return store / "snapshots" / ("0f" * 20)


def test_a_snapshot_in_the_cache_of_the_hub_is_a_dataset(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"content": ["b = 1"]})
    description = b"---\nconfigs:\n- config_name: x\n  data_files: data/*.parquet\n---\n"
    files = {"README.md": description, "a.jsonl": b"no data of this", "data/b.parquet": b""}
    files["data/b.parquet"] = (tmp_path / "a.parquet").read_bytes()
    root = cached(tmp_path / ".cache", files)
    found, skips = read(root)
    assert [document.text for document in found] == ["b = 1"]
    assert skips.counts == {"other file type": 1}
    (tmp_path / "seen").symlink_to(root)
    assert [document.text for document in read(tmp_path / "seen")[0]] == ["b = 1"]
    before = list(state(Config(name=str(root))))
    os.utime(root / "data/b.parquet", (0, 0))
    assert before != list(state(Config(name=str(root))))


def test_no_other_link_in_a_snapshot_is_followed(tmp_path: Path) -> None:
    root = cached(tmp_path, {"a.jsonl": b'{"content": "a = 1"}\n'})
    write_jsonl(tmp_path / "secret.jsonl", {"content": "secret = 1"})
    write_jsonl(tmp_path / "datasets--me--other/blobs/ff", {"content": "secret = 1"})
    write_jsonl(root.parent.parent / "blobs/deeper/ff", {"content": "secret = 1"})
    (root.parent.parent / "blobs/to-secret").symlink_to("../../secret.jsonl")
    os.mkfifo(root.parent.parent / "blobs/pipe")
    for number, target in enumerate(("../blobs/to-secret", "../blobs/deeper/ff", "../../datasets--me--other/blobs/ff")):
        (root / f"{number}.jsonl").symlink_to(f"../{target}")
    (root / "3.jsonl").symlink_to("3.jsonl")
    (root / "4.jsonl").symlink_to("../../blobs/nowhere")
    (root / "5.jsonl").symlink_to("../../blobs/pipe")
    found, skips = read(root)
    assert [document.text for document in found] == ["a = 1"]
    assert skips.counts == {"link": 6}
    (root / "README.md").symlink_to("../../blobs/to-secret")
    with pytest.raises(ValueError, match=r"README.md in it must be a regular file$"):
        read(root)
