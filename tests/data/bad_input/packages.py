"""Environments of installed packages."""

import os
from collections.abc import Callable
from pathlib import Path

from bad_input.files import FEW, MEGABYTE, SMALL, link, secret_outside, sparse, written
from bad_input.row import Build, normalise, refuse, skip
from sprig.data.config import DataConfig
from sprig.data.sources import packages


def install(site: Path, name: str, *files: str, metadata: str | None = None, record: bytes | None = None) -> Path:
    """Write files and what an installer writes."""
    info = site / f"{name}-1.0.dist-info"
    written(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" if metadata is None else metadata)
    for number, file in enumerate(files):
        written(site / file, f"def {name}_{number}(x):\n    return x\n")
    written(info / "RECORD", "".join(f"{file},,\n" for file in files).encode() if record is None else record)
    return info


def environment(damage: Callable[[Path], object]) -> Build:
    """A site-packages with two packages of the good files, and one that is damaged."""

    def build(place: Path) -> DataConfig:
        site = place / "site"
        for package, texts in (("ant", FEW[:2]), ("bee", FEW[2:])):
            files = [f"{package}/good_{number}.py" for number in range(len(texts))]
            install(site, package, *files)
            for file, text in zip(files, texts, strict=True):
                written(site / file, text)
        damage(site)
        return packages.Config(environment=str(site), **SMALL)

    return build


def environment_at(make: Callable[[Path], object]) -> Build:
    def build(place: Path) -> DataConfig:
        make(place / "site")
        return packages.Config(environment=str(place / "site"), **SMALL)

    return build


def recorded(record: bytes, make: Callable[[Path], object] | None = None) -> Build:
    """A package whose record of its files is this."""

    def damage(site: Path) -> None:
        install(site, "cat", record=record)
        secret_outside(site)
        if make:
            make(site)

    return environment(damage)


def without(name: str) -> Build:
    """A package that has lost the file of that name."""
    return environment(lambda site: (install(site, "cat", "cat.py") / name).unlink())


def with_origin(text: str) -> Build:
    """A package whose direct_url.json says this."""
    return environment(lambda site: written(install(site, "cat", "cat.py") / "direct_url.json", text))


def as_record(name: str, make: Callable[[Path], object]) -> Build:
    """A package that has something else in the place of one of its records."""

    def damage(site: Path) -> None:
        path = install(site, "cat", "cat.py") / name
        path.unlink(missing_ok=True)
        make(path)

    return environment(damage)


ROWS = [
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
