"""The source `packages` reads what is installed: by the records, in order, with groups and licences."""

import os
import sysconfig
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from sprig.data.documents import Document, Skips
from sprig.data.sources.packages import Config, documents, state

CODE = "def f(x):\n    return x\n"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n"


def install(
    root: Path,
    name: str,
    *files: str,
    version: str = "1.0",
    listed: tuple[str, ...] = (),
    metadata: str = METADATA,
    record: bytes | None = None,
) -> Path:
    """Write files and what an installer writes; listed are lines of the record without a file."""
    info = root / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(metadata.format(name=name, version=version))
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(CODE)
    lines = "".join(f"{file},,\n" for file in (*files, *listed, f"{info.name}/METADATA"))
    (info / "RECORD").write_bytes(lines.encode() if record is None else record)
    return info


def read(root: Path | str, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(environment=str(root), **settings), skips)), skips


def paths(root: Path | str, **settings: object) -> list[str]:
    return [document.path for document in read(root, **settings)[0]]


def test_a_file_has_its_package_as_group_and_the_packages_licence(tmp_path: Path) -> None:
    install(tmp_path, "Nice.Tool", "nice/__init__.py", "nice/data.json", "nice/types.pyi")
    assert read(tmp_path) == (
        [Document(CODE, "nice-tool/nice/__init__.py", group="nice-tool", language="python", license="MIT")],
        Skips(),
    )


def test_code_of_others_that_a_package_brings_along_is_left_out_for_its_licence_is_another(tmp_path: Path) -> None:
    install(tmp_path, "pip", "pip/main.py", "pip/_vendor/certifi/core.py", "pip/third_party/x.py")
    install(tmp_path, "virtualenv", "virtualenv/run.py")  # a package of such a name is no folder of others'
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["pip/pip/main.py", "virtualenv/virtualenv/run.py"]
    assert skips.counts == {"file in a vendored folder": 2}
    assert skips.examples == {"file in a vendored folder": "pip/pip/_vendor/certifi/core.py"}


def test_what_an_old_installer_has_recorded_is_found_where_it_was_installed(tmp_path: Path) -> None:
    info = tmp_path / "old-1.0-py3.11.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text(METADATA.format(name="old", version="1.0"))
    (info / "SOURCES.txt").write_text("setup.py\nsrc/old/__init__.py\n")
    (info / "installed-files.txt").write_text("../old/__init__.py\nPKG-INFO\n")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "__init__.py").write_text(CODE)
    assert paths(tmp_path) == ["old/old/__init__.py"] and read(tmp_path)[1] == Skips()


def test_files_come_by_package_and_path_and_those_of_no_package_not_at_all(tmp_path: Path) -> None:
    install(tmp_path, "zoo", "ns/a.py", "_zoo.py")
    install(tmp_path, "ant", "ns/z.py", "ns/b/c.py", "ns/b-c.py")
    (tmp_path / "stray.py").write_text(CODE)
    assert paths(tmp_path) == ["ant/ns/b-c.py", "ant/ns/b/c.py", "ant/ns/z.py", "zoo/_zoo.py", "zoo/ns/a.py"]
    assert read(tmp_path)[1] == Skips()


def test_include_and_exclude_take_names_in_any_spelling(tmp_path: Path) -> None:
    for name in ("ant", "Bee_Hive", "cat"):
        install(tmp_path, name, f"{name}.py")
    assert paths(tmp_path, include=["cat", "bee.hive"]) == ["bee-hive/Bee_Hive.py", "cat/cat.py"]
    assert paths(tmp_path, exclude=["BEE--HIVE"]) == ["ant/ant.py", "cat/cat.py"]
    assert paths(tmp_path, include=["cat", "ant"], exclude=["ant"]) == ["cat/cat.py"]
    with pytest.raises(ValueError, match=r"data\.exclude leaves out all"):
        read(tmp_path, include=["ant"], exclude=["ant"])


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_package_that_is_not_installed_is_an_error_that_names_the_nearest(tmp_path: Path, key: str) -> None:
    install(tmp_path, "requests", "requests.py")
    install(tmp_path, "click", "click.py")
    with pytest.raises(ValueError, match=rf"^data\.{key}: no package 'request' is installed; did you mean 'requests'"):
        documents(Config(environment=str(tmp_path), **{key: ["click", "request"]}), Skips())


def test_what_is_not_installed_may_be_left_out(tmp_path: Path) -> None:
    install(tmp_path, "requests", "requests.py")
    assert paths(tmp_path, exclude=["uvicorn"]) == ["requests/requests.py"]
    with pytest.raises(ValueError, match="no package 'uvicorn' is installed"):
        paths(tmp_path, include=["uvicorn"])


@pytest.mark.parametrize("below", ["lib/python3.12/site-packages", "Lib/site-packages"])
def test_the_root_of_an_environment_stands_for_what_is_installed_in_it(tmp_path: Path, below: str) -> None:
    install(tmp_path / below, "ant", "ant.py")
    (tmp_path / "lib64").symlink_to("lib")
    assert paths(tmp_path) == paths(tmp_path / below) == ["ant/ant.py"]


def test_a_record_reaches_nothing_outside_the_environment(tmp_path: Path) -> None:
    root = tmp_path / "site"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.py").write_text("key = 'secret'\n")
    listed = ("../secret/x.py", f"{tmp_path}/secret/x.py", "ant/../../secret/x.py", "ant/out/x.py", "ant/link.py")
    info = install(root, "ant", "ant/a.py", listed=(*listed, "ant/../ant/a.py", "ant/gone.py", "ant/folder.py"))
    (root / "ant/out").symlink_to("../../secret")
    (root / "ant/link.py").symlink_to("../../secret/x.py")
    (root / "ant/folder.py").mkdir()
    os.mkfifo(root / "ant/pipe.py")
    with (info / "RECORD").open("a") as record:
        record.write("ant/pipe.py,,\n")
    found, skips = read(root)
    assert [document.path for document in found] == ["ant/ant/a.py"]
    assert skips.counts == {
        "file outside the environment": 3,  # two of the five are one path
        "link": 1,
        "file that is not there any more": 1,
        "not a regular file": 2,
    }


@pytest.mark.filterwarnings("error")
def test_packages_without_code_are_counted(tmp_path: Path) -> None:
    install(tmp_path, "ant", "ant.py")
    editable = install(tmp_path, "bee", "__editable___bee_finder.py")
    (editable / "direct_url.json").write_text('{"url": "file:///bee", "dir_info": {"editable": true}}')
    (install(tmp_path, "cat") / "RECORD").unlink()
    install(tmp_path, "dog", "dog.so")
    install(tmp_path, "eel", record=b"eel.py,sha256=x,many\n")
    install(tmp_path, "fox", record=b"\xff\xfe.py,,\n")
    (install(tmp_path, "gnu", "gnu.py") / "direct_url.json").write_text("{")
    install(tmp_path, "hen", metadata="Metadata-Version: 2.1\n")
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["ant/ant.py"]
    assert skips.examples == {
        "package in editable mode": "bee",
        "package without a record of its files": "cat",
        "package without Python files": "dog",
        "package with a damaged record": "eel",
        "package without a name": str(tmp_path / "hen-1.0.dist-info"),
    }
    assert skips.counts["package with a damaged record"] == 3


def test_of_a_package_installed_twice_one_is_read(tmp_path: Path) -> None:
    install(tmp_path, "ant", "old.py", version="1.0")
    install(tmp_path, "Ant", "new.py", version="2.0")
    found, skips = read(tmp_path)
    assert [document.path for document in found] == ["ant/old.py"]
    assert skips.examples == {"package installed twice": "ant"}


def test_files_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    install(tmp_path, "ant", "a.py", "b.py", "c.py", "d.py")
    (tmp_path / "b.py").write_bytes(b"\xe9")
    (tmp_path / "c.py").write_text(" \n")
    found, skips = read(tmp_path, max_file_bytes=len(CODE))
    assert [document.path for document in found] == ["ant/a.py", "ant/d.py"]
    assert skips.examples == {"not UTF-8": "ant/b.py", "empty file": "ant/c.py"}
    assert read(tmp_path, max_file_bytes=len(CODE) - 1)[0] == []


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("missing", "there is no such folder"),
        ("empty", "it is no environment, no package is installed in it"),
        ("file", r"it cannot be read \(Not a directory\)"),
        ("~nobody-of-that-name", "it cannot be read"),
        ("lost", "no package is installed in .*/lost/lib/python3.11/site-packages"),
    ],
)
def test_an_environment_with_nothing_to_read_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "lost/lib/python3.11/site-packages").mkdir(parents=True)
    with pytest.raises(ValueError, match=f"^data.environment={environment}: {message}") as error:
        documents(Config(environment=environment), Skips())
    assert "\n" not in str(error.value)


def test_the_state_is_another_once_a_file_or_a_version_is(tmp_path: Path) -> None:
    info = install(tmp_path, "ant", "a.py", listed=("gone.py",))
    config = Config(environment=str(tmp_path))
    before = list(state(config))
    assert before == list(state(config))
    assert before[0] == "ant 1.0 MIT"
    os.utime(tmp_path / "a.py", (0, 0))
    after = list(state(config))
    assert after != before
    (info / "METADATA").write_text(METADATA.format(name="ant", version="1.1"))
    newer = list(state(config))
    assert newer != after
    (info / "METADATA").write_text(METADATA.format(name="ant", version="1.1").replace("MIT", "ISC"))
    assert list(state(config)) != newer


def test_documents_are_read_one_at_a_time(tmp_path: Path) -> None:
    install(tmp_path, "ant", "a.py", "b.py")
    skips = Skips()
    found = documents(Config(environment=str(tmp_path)), skips)
    next(found)
    (tmp_path / "b.py").unlink()
    assert list(found) == []
    assert skips.counts.total() == 1


def test_the_running_environment_is_read_as_it_is() -> None:
    skips, licenses, files = Skips(), dict[str, str](), Counter[str]()
    root = Path(sysconfig.get_path("purelib"))
    for document in documents(Config(exclude=["torch", "sympy", "transformers"]), skips):
        name, _, path = document.path.partition("/")
        assert document.group == name
        files[name] += 1
        licenses[name] = document.license
        if files[name] == 1:
            assert (root / path).is_file()
    assert len(files) >= 30
    assert files["pytest"] > 50
    assert not {"torch", "sprig"} & set(files)
    assert skips.examples.get("package in editable mode", "sprig") == "sprig"
    assert sum(map(bool, licenses.values())) > 0.9 * len(licenses)
    assert licenses["pytest"] == "MIT"


def test_ten_files_of_the_running_environment_come_at_once_and_in_order() -> None:
    found = [document.path for document in islice(documents(Config(), Skips()), 10)]
    assert found == sorted(found)
    assert found == [document.path for document in islice(documents(Config(), Skips()), 10)]


def test_the_state_says_nothing_of_a_file_that_is_gone(tmp_path: Path) -> None:
    install(tmp_path, "ant", "a.py", "b.py")
    before = [line.split()[0] for line in state(Config(environment=str(tmp_path)))]
    next(tmp_path.rglob("b.py")).unlink()
    assert before == ["ant", "ant/a.py", "ant/b.py"]
    assert [line.split()[0] for line in state(Config(environment=str(tmp_path)))] == before[:2]
