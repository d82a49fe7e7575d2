"""The source `packages`: the Python files of the packages that are installed in an environment.

Where it stands: the first step of the way data takes. What belongs to which package is read from the records that the
installer has left (PEP 376), so that each file comes with its package as its group and with the package's licence.
"""

import csv
import os
import posixpath
import stat
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import distributions
from operator import attrgetter
from pathlib import Path

from sprig.data.cleaning.licenses import of_metadata
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.installed_packages import Installed, normalised
from sprig.data.left_out import is_vendored
from sprig.data.reading import Unfit, read_source, shown, why

_BELOW_A_ROOT = ("lib/python*/site-packages", "lib64/python*/site-packages", "lib/python*/dist-packages")
_BELOW_A_ROOT_OF_WINDOWS = ("Lib/site-packages",)


@dataclass
class Config(DataConfig):
    """Packages that somebody has chosen to install."""

    source: str = "packages"
    environment: str = ""
    """A virtual environment (~/project/.venv) or its site-packages; empty: that of the running interpreter."""
    include: list[str] = field(default_factory=list)
    """Packages by the names they are installed by, in any spelling ("PyYAML"); empty means all."""
    exclude: list[str] = field(default_factory=list)
    """Packages to leave out, installed or not."""
    max_file_bytes: int = 1_000_000
    """Larger files are skipped: they are data or generated."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the packages' files ordered by package and path ("click/click/core.py").

    Packages installed in editable mode stand elsewhere and are counted as left out; so are those without a record.
    ValueError where nothing is installed, or not what config names.
    """
    chosen = list(_chosen(config, skips))
    return _documents(chosen, config.max_file_bytes, skips)


def state(config: Config) -> Iterator[str]:
    """The packages with their versions, and their files with sizes and times."""
    skips = Skips()
    for name, distribution in _chosen(config, skips):
        yield f"{name} {distribution.identity[1]} {of_metadata(distribution.fields)}"
        for path, _, status in _files(name, distribution, skips):
            yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _documents(chosen: list[tuple[str, Installed]], max_file_bytes: int, skips: Skips) -> Iterator[Document]:
    for name, distribution in chosen:
        license = of_metadata(distribution.fields)
        for path, file, _ in _files(name, distribution, skips):
            try:
                text = read_source(Path(file), max_file_bytes)
            except Unfit as reason:
                skips.add(str(reason), path)
                continue
            yield Document(text, path, group=name, language="python", license=license)


def _chosen(config: Config, skips: Skips) -> Iterator[tuple[str, Installed]]:
    """The distributions that config names, with their normalised names, in the order of these."""
    folders = _site_packages(config.environment)
    readable, named = list[Installed](), dict[str, Installed]()
    for folder in sorted(Path(str(getattr(found, "_path", ""))) for found in distributions(path=folders)):
        try:
            (installed := Installed(folder)).identity  # noqa: B018  which reads its metadata
        except Unfit:
            skips.add("package with damaged metadata", folder.name.partition("-")[0])
        else:
            readable.append(installed)
    for distribution in sorted(readable, key=attrgetter("identity")):
        name = distribution.identity[0]
        if not name:
            skips.add("package without a name", str(distribution.folder))
        elif name in named:
            skips.add("package installed twice", name)
        else:
            named[name] = distribution
    if not named:
        raise ValueError(f"data.environment={config.environment}: no package is installed in {', '.join(folders)}")
    # One that is not there is left out already, unless its name is a slip.
    include, exclude = _known(config.include, named, "include", 0.0), _known(config.exclude, named, "exclude", 0.8)
    names = sorted((include or set(named)) - exclude)
    if not names:
        raise ValueError("data.exclude leaves out all the packages that data.include names.")
    return ((name, named[name]) for name in names)


def _site_packages(environment: str) -> list[str]:
    """The folders of environment that packages are installed in, as absolute paths."""
    where = f"data.environment={shown(environment)}"
    if not environment:
        return list(dict.fromkeys(str(Path(sysconfig.get_path(key)).resolve()) for key in ("purelib", "platlib")))
    try:
        root = Path(environment).expanduser().resolve(strict=True)
        if any(child.name.endswith((".dist-info", ".egg-info")) for child in root.iterdir()):
            return [str(root)]
        below = [folder for pattern in (*_BELOW_A_ROOT, *_BELOW_A_ROOT_OF_WINDOWS) for folder in root.glob(pattern)]
    except FileNotFoundError:
        raise ValueError(f"{where}: there is no such folder") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, ~ of an unknown user, a NUL
        raise ValueError(f"{where}: it cannot be read ({why(error)})") from None
    if not below:
        raise ValueError(f"{where}: it is no environment, no package is installed in it")
    return sorted({str(folder.resolve()) for folder in below})


def _known(names: Iterable[str], installed: Iterable[str], key: str, alike: float) -> set[str]:
    """The names as they are normalised; ValueError for one that is not installed where one as much alike is."""
    for name in names:
        nearest = get_close_matches(normalised(name), installed, n=1, cutoff=alike)
        if normalised(name) not in installed and nearest:
            raise ValueError(f"data.{key}: no package {name!r} is installed; did you mean {nearest[0]!r}?")
    return set(map(normalised, names))


def _files(name: str, distribution: Installed, skips: Skips) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield ("click/click/core.py", where it is, its state) for the package's files in the order of their paths.

    A record is a text that anybody may have written: what it names outside the environment is left out.
    """
    try:
        editable, record = distribution.editable, distribution.record()
    except (Unfit, csv.Error, ValueError, TypeError, RuntimeError):
        skips.add("package with a damaged record", name)
        return
    paths = sorted({path for path in map(posixpath.normpath, record or ()) if posixpath.splitext(path)[1] == ".py"})
    if editable or not paths:
        without = "package without " + ("a record of its files" if record is None else "Python files")
        skips.add("package in editable mode" if editable else without, name)
        return
    root = distribution.locate_file("")
    for path in paths:
        shown = f"{name}/{path}"
        try:
            shown.encode()
            if is_vendored(path.partition("/")[2]):  # the first folder has the package's own name
                raise Unfit("file in a vendored folder")
            if not _stands_below(posixpath.dirname(path), root):
                raise Unfit("file outside the environment")
            file = os.path.join(root, path)  # noqa: PTH118  there may be tens of thousands
            status = os.lstat(file)
            if stat.S_ISLNK(status.st_mode):
                raise Unfit("link")
        except UnicodeEncodeError:
            skips.add("file name not UTF-8", name)
        except FileNotFoundError:
            skips.add("file that is not there any more", shown)
        except (OSError, ValueError, RuntimeError):  # a NUL in the path; a loop of links
            skips.add("unreadable", shown)
        except Unfit as reason:
            skips.add(str(reason), shown)
        else:
            yield shown, file, status


@lru_cache(maxsize=1000)
def _stands_below(folder: str, root: Path) -> bool:
    """Whether root / folder is really below root, links on the way followed; a package's files share their folders."""
    return (root / folder).resolve().is_relative_to(root.resolve())
