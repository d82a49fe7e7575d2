"""The source `stdlib` gives the functions of the standard library, and nothing of its tests."""

import ast
import sysconfig
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest

from sprig.data.documents import Skips
from sprig.data.sources import folder
from sprig.data.sources.stdlib import Config, documents

ROOT = Path(sysconfig.get_path("stdlib"))


def test_the_modules_are_there_and_neither_tests_nor_installed_packages() -> None:
    skips = Skips()
    paths = [document.path for document in documents(Config(unit="file"), skips)]
    assert {"os.py", "json/decoder.py", "venv/__init__.py", "unittest/case.py"} <= set(paths)
    folders = {part for path in paths for part in PurePosixPath(path).parts[:-1]}
    assert not folders & {"test", "tests", "idle_test", "site-packages", "__pycache__"}
    assert not any(name.startswith("config-") for name in folders)
    assert skips.counts["hidden, vendored or generated folder"] > 0
    assert len(paths) > 500


def test_functions_are_real_code_of_the_file_they_name() -> None:
    for document in islice(documents(Config(), Skips()), 300):
        path, name = document.path.split(":")
        assert path == document.group
        assert document.text.splitlines()[0].strip() in (ROOT / path).read_text()
        (function,) = ast.parse(document.text).body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        assert function.name == name.split(".")[-1]
        assert document.text[: document.header].endswith(":")


def test_it_is_the_folder_source_on_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a.py", "b/tests/test_c.py", "config-3.11/d.py", "b/c.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("def f(): pass\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    ours = list(documents(Config(), Skips()))
    theirs = list(folder.documents(folder.Config(path=str(tmp_path), unit="function"), Skips()))
    assert [document.path for document in ours] == ["a.py:f", "b/c.py:f"]
    assert ours == [document for document in theirs if document in ours] != theirs


def test_an_interpreter_without_sources_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/usr/lib/python311.zip")
    with pytest.raises(ValueError, match=r"no source files of its standard library in /usr/lib/python311\.zip"):
        documents(Config(), Skips())


@pytest.mark.slow
def test_there_are_more_distinct_functions_than_the_default_limit_takes() -> None:
    texts = {" ".join(document.text.split()) for document in documents(Config(), Skips())}
    assert len(texts) > 12_000
