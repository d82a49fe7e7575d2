"""The source `git` reads what a repository tracks at a revision, and runs nothing that the repository names."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sprig.data import git_objects
from sprig.data.documents import Document, Skips
from sprig.data.sources import folder
from sprig.data.sources import git as source
from sprig.data.sources.git import Config, documents

GOOD = "def f(x):\n    return x\n"
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated "
    "documentation files, to deal in the Software, provided that this permission notice shall be included.\n"
)
PERSON = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **PERSON}


@pytest.fixture(autouse=True)
def settings_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def git(at: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ["git", "-C", str(at), *arguments]
    return (
        subprocess.run(command, env=ENVIRONMENT, input=stdin, check=True, capture_output=True).stdout.decode().strip()
    )


def commit(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write the files and commit them in the repository at root, which is made if there is none."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "--allow-empty", "-m", "x")
    return root


def read(*roots: Path | str, **settings: object) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(paths=[str(root) for root in roots], **settings), skips)), skips


def paths(*roots: Path | str, **settings: object) -> list[str]:
    return [document.path for document in read(*roots, **settings)[0]]


def children() -> list[str]:
    """The processes that this one has not seen the end of."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def test_a_document_is_a_tracked_file_of_its_own_group_with_its_language_and_licence(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"LICENSE": MIT, "b/é.py": GOOD, "a.h": "int x;\r\n", "b/LICENSE": "?" * 100})
    assert read(root, languages=["python", "c"])[0] == [
        Document("int x;\n", "a.h", group="a.h", language="c", license="MIT"),
        Document(GOOD, "b/é.py", group="b/é.py", language="python"),
    ]


def test_all_licence_files_of_a_folder_are_read_and_links_among_them_followed(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"LICENSE": MIT, "a/x.py": GOOD, "b/y.py": GOOD, "b/COPYING.LESSER": "?" * 100})
    (root / "a" / "LICENSE.TXT").symlink_to("../LICENSE")
    commit(root, {"c/z.py": GOOD})
    (root / "c" / "LICENSE").symlink_to("/etc/hostname")
    commit(root, {})
    assert [document.license for document in read(root)[0]] == ["MIT", "", ""]


def test_it_reads_a_clean_checkout_as_the_source_folder_does(tmp_path: Path) -> None:
    names = ["a/b.py", "a/z/a.py", "a.py", "a-b/c.py", "B.py", "b/é.py", "b/e e.py", "vendor/x.py", "x\ty\n.py", "c.js"]
    root = commit(tmp_path / "code", dict.fromkeys(names, GOOD))
    ours, theirs = read(root)[0], list(folder.documents(folder.Config(path=str(root)), Skips()))
    assert ours == theirs
    assert len(ours) == 8


def test_the_checkout_does_not_show(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"kept.py": GOOD, "changed.py": GOOD, "gone.py": GOOD, "build/.x/hidden.py": GOOD})
    (root / "changed.py").write_text("dirty")
    (root / "gone.py").unlink()
    (root / "new.py").write_text(GOOD)
    (root / "staged.py").write_text(GOOD)
    git(root, "add", "staged.py")
    found, skips = read(root)
    assert [document.path for document in found] == ["build/.x/hidden.py", "changed.py", "gone.py", "kept.py"]
    assert {document.text for document in found} == {GOOD}
    assert not skips.counts


def test_a_revision_is_a_branch_a_tag_or_a_commit(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"old.py": GOOD})
    git(root, "tag", "-a", "v1", "-m", "x")
    first = git(root, "rev-parse", "HEAD")
    (root / "old.py").unlink()
    commit(root, {"new.py": GOOD})
    for revision in ("v1", first, first[:9], "HEAD~1", "main^"):
        assert paths(root, revision=revision) == ["old.py"]
    assert paths(root) == paths(root, revision="main") == ["new.py"]


def test_bare_repositories_worktrees_and_sha256_are_read_and_what_replaces_an_object_is_not(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    git(root, "clone", "-q", "--bare", ".", "../bare.git")
    git(root, "worktree", "add", "-q", "--detach", "../tree")
    git(root, "replace", git(root, "rev-parse", "HEAD:a.py"), git(root, "hash-object", "-w", "--stdin", stdin=b"no"))
    git(tmp_path, "init", "-q", "--object-format=sha256", "long")
    commit(tmp_path / "long", {"a.py": GOOD})
    for place in (root, root / ".git", tmp_path / "bare.git", tmp_path / "tree", tmp_path / "long"):
        assert read(place)[0] == [Document(GOOD, "a.py", group="a.py", language="python")]


def test_several_repositories_are_a_group_each(tmp_path: Path) -> None:
    one = commit(tmp_path / "one", {"a.py": GOOD, "b.py": GOOD})
    two = commit(tmp_path / "two", {"b.py": GOOD, "c.js": GOOD})
    git(two, "clone", "-q", "--bare", ".", "../three.git")
    found, skips = read(one, two, tmp_path / "three.git")
    assert [(document.path, document.group) for document in found] == [
        ("one/a.py", "one"),
        ("one/b.py", "one"),
        ("two/b.py", "two"),
        ("three/b.py", "three"),
    ]
    assert (skips.counts, skips.examples) == ({"other file type": 2}, {"other file type": "two/c.js"})


def test_repositories_of_one_name_are_told_apart_by_their_place(tmp_path: Path) -> None:
    one, two = (commit(tmp_path / place / "src", {"a.py": GOOD}) for place in ("one", "two"))
    found, _ = read(one, two)
    assert [(document.path, document.group) for document in found] == [(f"{r}/a.py", str(r)) for r in (one, two)]


BAD_FILES = [
    ("not UTF-8", {"bad.py": b"'\xe9'"}),
    ("binary file", {"bad.py": b"MZ\0\0"}),
    ("empty file", {"bad.py": "\n \n"}),
    ("file over 1,000,000 bytes", {"bad.py": "x" * 1_000_001}),
    ("other file type", {"bad.js": "f()"}),
    ("file in a vendored folder", {"a/node_modules/b/bad.py": GOOD}),
]


@pytest.mark.parametrize(("reason", "files"), BAD_FILES)
def test_what_is_not_a_source_file_is_counted_and_the_others_are_read(
    tmp_path: Path, reason: str, files: dict[str, str | bytes]
) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD, "z.py": GOOD, **files})
    found, skips = read(root)
    assert [document.path for document in found] == ["a.py", "z.py"]
    assert (skips.counts, skips.examples) == ({reason: 1}, {reason: next(iter(files))})


def test_links_submodules_and_names_that_are_not_utf8_are_counted(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD, os.fsdecode(b"b\xe9.py"): GOOD, "sub.py/x.py": GOOD})
    git(root, "rm", "-q", "-r", "--cached", "sub.py")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub.py")
    (root / "link.py").symlink_to("/etc/passwd")
    git(root, "add", "link.py")
    git(root, "commit", "-q", "-m", "x")
    found, skips = read(root)
    assert [document.path for document in found] == ["a.py"]
    assert skips.examples == {"file name not UTF-8": "b\udce9.py", "submodule": "sub.py", "symbolic link": "link.py"}
    assert skips.counts.total() == 3


def test_a_blob_over_the_limit_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD, "large.py": "x" * 101, "large.js": "x" * 101})
    asked = []
    monkeypatch.setattr(source.Objects, "read", lambda self, name, size: asked.append(name) or b"x")
    _, skips = read(root, max_file_bytes=100)
    assert skips.counts == {"file over 100 bytes": 1, "other file type": 1}
    assert asked == [git(root, "rev-parse", "HEAD:a.py")]


def test_languages_and_patterns_choose_as_in_the_source_folder(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD, "b.go": GOOD, "src/c.txt": GOOD, "yarn.lock": "x"})
    assert paths(root, languages=["go"]) == ["b.go"]
    assert paths(root, languages=[]) == ["a.py", "b.go"]
    assert paths(root, patterns=["src/*", "*.lock"]) == ["src/c.txt"]
    with pytest.raises(ValueError, match=r"data.languages: 'pyton' is no language"):
        read(root, languages=["pyton"])


def test_a_missing_or_damaged_object_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {f"{name}.py": f"{name} = 1\n" for name in "abcdef"})
    for name, harm in (("b", None), ("c", b"junk"), ("d", -3)):
        blob = git(root, "rev-parse", f"HEAD:{name}.py")
        file = root / ".git" / "objects" / blob[:2] / blob[2:]
        data = file.read_bytes()
        file.unlink()
        if harm is not None:
            file.write_bytes(harm if isinstance(harm, bytes) else data[:harm])
    found, skips = read(root)
    assert [document.path for document in found] == ["a.py", "e.py", "f.py"]
    assert skips.counts == {"object missing or damaged": 3}


def hostile(root: Path, pwned: Path) -> None:
    """Have the repository's settings touch a file on everything that git does with a program's help."""
    run = f"touch {pwned}; cat"
    settings = {
        **{"core.fsmonitor": run, "core.hooksPath": str(root / "hooks"), "core.pager": run, "core.editor": run},
        **{"filter.x.clean": run, "filter.x.smudge": run, "filter.x.process": run, "filter.x.required": "true"},
        **{"diff.x.textconv": run, "diff.x.command": run, "diff.external": run, "core.sshCommand": run},
        **{"core.alternateRefsCommand": run, "credential.helper": f"!{run}", "core.askPass": run, "pager.ls-tree": run},
        **{"alias.ls-tree": f"!{run}", "alias.cat-file": f"!{run}", "core.worktree": "/"},
    }
    for key, value in settings.items():
        git(root, "config", key, value)
    (root / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    (root / "hooks").mkdir()
    for hook in ("post-checkout", "post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (root / "hooks" / hook).write_text(f"#!/bin/sh\n{run}\n")
        (root / "hooks" / hook).chmod(0o755)


def test_a_hostile_configuration_runs_nothing(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD, ".gitattributes": "* filter=x diff=x\n"})
    hostile(root, tmp_path / "pwned")
    found, _ = read(root)
    assert [document.text for document in found] == [GOOD]
    assert not (tmp_path / "pwned").exists()


def partial_clone(tmp_path: Path) -> Path:
    whole = commit(tmp_path / "whole", {"a.py": GOOD, "b.py": "x = 1\n"})
    git(whole, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{whole}", "part")
    return tmp_path / "part"


def test_a_partial_clone_fetches_nothing_and_runs_no_remote_helper(tmp_path: Path) -> None:
    root = partial_clone(tmp_path)
    git(root, "config", "remote.origin.url", f"ext::sh -c touch% {tmp_path}/pwned")
    git(root, "config", "protocol.ext.allow", "always")
    try:
        found, skips = read(root)
    except ValueError as error:  # git before 2.45 gives up at the first missing object
        assert str(error) == f"data.paths: {root} is a partial clone, and nothing is fetched here: clone it in full"
    else:
        assert (found, skips.counts) == ([], {"object missing or damaged": 2})
    assert not (tmp_path / "pwned").exists()


def test_a_partial_clone_with_a_checkout_is_read(tmp_path: Path) -> None:
    root = partial_clone(tmp_path)
    git(root, "checkout", "-q", "main")
    assert paths(root) == ["a.py", "b.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_an_error_that_names_the_fix_and_the_fix_works(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    for path in (root, root / ".git"):
        os.chown(path, 65534, 65534)
    with pytest.raises(ValueError, match="belongs to another user") as error:
        read(root)
    assert "\n" not in str(error.value)
    fix = str(error.value).partition(": git ")[2].split()
    subprocess.run(["git", *fix], env={**ENVIRONMENT, "HOME": os.environ["HOME"]}, check=True)
    assert paths(root) == ["a.py"]


def empty_repository(at: Path) -> None:
    git(at.parent, "init", "-q", at.name)


@pytest.mark.parametrize(
    ("path", "make", "message"),
    [
        ("missing", lambda path: None, "data.paths: {}: there is no such folder"),
        ("file", Path.touch, r"data.paths: '{}': it cannot be read \(Not a directory\)"),
        ("loop", lambda path: path.symlink_to("loop"), r"data.paths: '{}': it cannot be read \(a loop of links\)"),
        ("plain", Path.mkdir, "data.paths: {} is no git repository"),
        ("code/inside", Path.mkdir, "data.paths: {} is no git repository"),
        ("empty", empty_repository, "data.revision=HEAD: {} has no such commit"),
        ("hollow", lambda path: commit(path, {}), "data.paths: {} has no file at HEAD"),
        ("broken", lambda path: (path / ".git").mkdir(parents=True), "data.paths: {} is no git repository"),
        ("x\0y", lambda path: None, r"data.paths: .* it cannot be read \(a path has no NUL\)"),
    ],
)
def test_a_path_with_nothing_to_read_is_an_error_of_one_line(
    tmp_path: Path, path: str, make: Callable[[Path], object], message: str
) -> None:
    commit(tmp_path / "code", {"a.py": GOOD})
    make(tmp_path / path)
    with pytest.raises(ValueError, match=f"^{message.format(tmp_path / path)}") as error:
        read(tmp_path / path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        *(
            (name, "has no such commit")
            for name in ("nope", "HEAD~9", "^HEAD", "HEAD..HEAD", "HEAD:a.py", "HEAD^{tree}")
        ),
        *((name, "is no name of a commit") for name in ("--all", "-h", "", "x\ny", "x\0y")),
    ],
)
def test_a_revision_that_is_no_commit_is_an_error_of_one_line(tmp_path: Path, revision: str, message: str) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    with pytest.raises(ValueError, match=f"^data.revision=.*{message}") as error:
        read(root, revision=revision)
    assert "\n" not in str(error.value)


def test_the_paths_are_a_list_without_repetitions(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    for wrong in ([], str(root), None):
        with pytest.raises(ValueError, match="data=git needs a list of the repositories to read"):
            documents(Config(paths=wrong), Skips())
    with pytest.raises(ValueError, match="is given twice"):
        read(root, f"{root}/../code")


def test_a_path_that_looks_like_an_option_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path / "--help", {"a.py": GOOD})
    monkeypatch.chdir(tmp_path)
    assert paths("--help") == ["a.py"]


def test_a_machine_without_git_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="data=git needs git, and there is none on the PATH"):
        read(tmp_path)


def test_a_configuration_that_never_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    os.mkfifo(tmp_path / "pipe")
    git(root, "config", "include.path", str(tmp_path / "pipe"))
    monkeypatch.setattr(source, "_SECONDS", 0.3)
    with pytest.raises(ValueError, match=r"git does not answer for .* within 0.3 s"):
        read(root)


def test_a_tree_that_holds_itself_many_times_is_an_error_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = commit(tmp_path / "code", {"a.py": GOOD})
    blob = git(root, "rev-parse", "HEAD:a.py")
    inner = git(root, "mktree", stdin=f"100644 blob {blob}\ta.py\n".encode())
    for _ in range(5):
        inner = git(root, "mktree", stdin="".join(f"040000 tree {inner}\t{n}\n" for n in range(10)).encode())
    bomb = git(root, "commit-tree", "-m", "x", inner)
    monkeypatch.setattr(git_objects, "_MAX_ANSWER", 1_000_000)
    before = children()
    with pytest.raises(ValueError, match="its list of files has over 1,000,000 bytes: no code has so many"):
        read(root, revision=bomb)
    assert children() == before


def test_no_process_is_left_by_a_reader_that_ends_or_is_closed(tmp_path: Path) -> None:
    root = commit(tmp_path / "code", {f"{name}.py": GOOD for name in "abc"})
    before = children()
    found = documents(Config(paths=[str(root)]), Skips())
    next(found)
    assert len(children()) == len(before) + 1
    found.close()
    assert children() == before
    read(root)
    assert children() == before


def test_a_repository_is_read_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = commit(tmp_path / "code", {"LICENSE": MIT, **{f"{name}.py": GOOD for name in "abc"}})
    started, start = [], source.Objects._start
    monkeypatch.setattr(source.Objects, "_start", lambda self: started.append(self) or start(self))
    assert len(paths(root)) == 3
    assert len(started) == 1
