"""Repositories."""

import os
import subprocess
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bad_input.files import MEGABYTE, SMALL, code, written
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import git

_PERSON = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_PERSON}


def in_git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, env=_ENVIRONMENT, check=True, capture_output=True).stdout.decode().strip()


def repository(
    bad: Mapping[str, str | bytes] | None = None,
    staged: Callable[[Path], object] | None = None,
    harm: Callable[[Path], object] | None = None,
    **settings: Any,
) -> Build:
    """The good files and some others in one commit, with what staged adds to the index; then harm is done."""

    def build(place: Path) -> DataConfig:
        root = place / "code"
        code(bad)(place)
        in_git(root, "init", "-q", "-b", "main")
        in_git(root, "add", "-A", "-f")
        if staged:
            staged(root)
        in_git(root, "commit", "-q", "-m", "x")
        if harm:
            harm(root)
        return git.Config(paths=[str(root)], **{**SMALL, **settings})

    return build


def repository_at(make: Callable[[Path], object]) -> Build:
    """What is no repository, or hardly one."""

    def build(place: Path) -> DataConfig:
        make(place / "code")
        return git.Config(paths=[str(place / "code")], **SMALL)

    return build


def staged_link(root: Path) -> None:
    (root / "bad.py").symlink_to("/etc/passwd")
    in_git(root, "add", "bad.py")


def staged_submodule(root: Path) -> None:
    in_git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},bad.py")


def with_object(name: str, harm: Callable[[Path], object]) -> Callable[[Path], None]:
    """Do harm to the file that the object of that name ("HEAD:bad.py") is in."""

    def apply(root: Path) -> None:
        number = in_git(root, "rev-parse", name)
        file = root / ".git" / "objects" / number[:2] / number[2:]
        file.chmod(0o644)
        harm(file)

    return apply


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def lying(file: Path) -> None:
    """Say of an object that it is shorter, and end what is too much in an answer to the next question."""
    old = zlib.decompress(file.read_bytes())
    file.write_bytes(zlib.compress(old.replace(b"blob 60", b"blob 20", 1)))


ROWS = [
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
