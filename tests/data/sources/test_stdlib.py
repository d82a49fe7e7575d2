"""The source `stdlib` gives the files of the standard library, and nothing of its tests."""

import ast
import sysconfig
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest

from sprig.data.documents import Skips
from sprig.data.sources.stdlib import Config, documents

ROOT = Path(sysconfig.get_path("stdlib"))


def test_the_modules_are_there_and_neither_tests_nor_installed_packages() -> None:
    skips = Skips()
    paths = [document.path for document in documents(Config(), skips)]
    assert {"os.py", "json/decoder.py", "venv/__init__.py", "unittest/case.py"} <= set(paths)
    folders = {part for path in paths for part in PurePosixPath(path).parts[:-1]}
    assert not folders & {"test", "tests", "idle_test", "site-packages", "__pycache__"}
    assert not any(name.startswith("config-") for name in folders)
    assert skips.counts["generated folder"] > 0
    assert len(paths) > 500


def test_a_document_is_a_file_of_python_under_the_licence_of_python() -> None:
    for document in islice(documents(Config(), Skips()), 50):
        assert document.path == document.group
        assert document.text == (ROOT / document.path).read_text()
        assert (document.language, document.license, document.header) == ("python", "PSF-2.0", 0)
        ast.parse(document.text)


def test_it_is_the_folder_source_on_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a.py", "b/tests/test_c.py", "config-3.11/d.py", "b/c.py", "build/e.py", "f.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("def f(): pass\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    skips = Skips()
    assert [document.path for document in documents(Config(), skips)] == ["a.py", "b/c.py", "build/e.py"]
    assert skips.counts == {"folder left out by its name": 2, "other file type": 1}


def test_an_interpreter_without_sources_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/usr/lib/python311.zip")
    with pytest.raises(ValueError, match=r"no source files of its standard library in /usr/lib/python311\.zip"):
        documents(Config(), Skips())
