"""The source `folder`: the source files below a folder.

Where it stands: the first step of the way data takes. It finds files and `sprig.data.reading` reads them; what a
document is, what is clean and what is a duplicate comes later, the same for all sources. The sources `stdlib` and
`packages` walk other folders with its `files_below`; `git` chooses by its `selection` and `left_out_by_name`.
"""

import posixpath
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from itertools import chain
from pathlib import Path

from sprig.data.cleaning.license_files import is_license_file
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.gitignore import Ignored
from sprig.data.languages import chosen, language_of
from sprig.data.license_tree import licenses_in, links_in, names_in
from sprig.data.reading import Unfit, read_source, shown, why

# After GitHub Linguist's vendor.yml and generated.rb, but for names that a project may well give its own code (cache,
# deps, env, tools).
VENDORED = (
    *("vendor", "vendors", "Vendor", "_vendor", "third_party", "third-party", "thirdparty", "ThirdParty"),
    *("3rdparty", "3rd_party", "3rd-party", "extern", "external", "Godeps", "Pods", "Carthage"),
    *("node_modules", "bower_components", "jspm_packages", "__pypackages__", "site-packages", "dist-packages"),
    *("venv", "virtualenv"),
)
"""Names of folders that hold code of other projects."""
_GENERATED = (
    *("__pycache__", "__generated__", "generated", "build", "_build", "dist", "target", "htmlcov", "elm-stuff"),
    *("DerivedData", "cmake-build-*", "*.egg-info", "*.dist-info", "*.egg"),
)
_FOLDERS = {
    ".*": "hidden folder",
    **dict.fromkeys(VENDORED, "vendored folder"),
    **dict.fromkeys(_GENERATED, "generated folder"),
}
# A virtual environment of any name, and what tools mark as theirs (https://bford.info/cachedir/).
_MARKS = {"pyvenv.cfg": "vendored folder", "CACHEDIR.TAG": "generated folder"}
_LOCKS = (
    *("*.lock", "*.lockfile", "*-lock.json", "*-lock.yaml", "packages.lock.json", "npm-shrinkwrap.json", "go.sum"),
    *(".terraform.lock.hcl", "bun.lockb"),
)
_MINIFIED = tuple(f"*{mark}min.{ending}" for mark in ".-" for ending in ("js", "mjs", "cjs", "css"))
_FILES = {
    reason: re.compile("|".join(map(translate, patterns)))  # asked for every file that is wanted
    for reason, patterns in {"lock file": _LOCKS, "minified file": _MINIFIED}.items()
}


@dataclass
class Config(DataConfig):
    """Code of the user's own."""

    source: str = "folder"
    path: str = ""
    """A folder, whose files are read at any depth, or one file; ~ is the home folder."""
    languages: list[str] = field(default_factory=lambda: ["python"])
    """Languages to read, by the names of sprig.data.languages: [python,c++]; [] reads all that it knows."""
    patterns: list[str] = field(default_factory=list)
    """If given, the files to read, in any language, by name or path, where * matches / too: ['*.js','src/*.ts']."""
    gitignore: bool = True
    """Whether to leave out what the .gitignore files in the folder, below it, and above it in the same repository name,
    as git does (10,000 lines each); those above count only where they do not leave out the folder itself."""
    max_file_bytes: int = 1_000_000
    """Larger files are skipped: they are data or generated."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the files below config.path, ordered by path; ValueError where there is no file.

    Hidden, vendored and generated folders, lock files and minified files are left out; a path that is one file is
    read whatever it is.
    """
    wanted = selection(config.languages, config.patterns)
    root = _existing(config.path)
    if root.is_file():
        return _licensed(_one(root, skips, config.max_file_bytes), root.parent)
    files = files_below(root, wanted, tuple(_FOLDERS), skips, config.max_file_bytes, gitignore=config.gitignore)
    return _licensed(_some(files, skips, f"data.path={config.path}: there is no file in it"), root)


def state(config: Config) -> Iterator[str]:
    """The files below config.path that are read, and what says of them whether they are and under which licence.

    Not the others: a run that is in the folder itself would make its data anew each time.
    """
    root = _existing(config.path)
    if root.is_file():
        return state_below(root.parent, (root.name, *names_in(root.parent)))
    found = list(_walk(root, tuple(_FOLDERS), config.gitignore, Skips()))
    paths = [path for path, _ in found]
    wanted = selection(config.languages, config.patterns)
    heard = [path for path in paths if wanted(path) or is_license_file(posixpath.basename(path))]
    rules = {file for _, ignored in found for file in ignored.files}  # some stand in .git, which is not walked
    return chain(state_below(root, [*heard, *sorted(rules)]), links_in(root, paths))


def state_below(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """A line for each file that differs once it was written anew, or is gone."""
    yield str(root)
    for path in paths:
        try:
            status = (root / path).lstat()
        except OSError:
            continue  # it vanished since it was found
        yield f"{path} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def selection(languages: Sequence[str], patterns: Sequence[str]) -> Callable[[str], bool]:
    """What tells by its path whether a file is to be read; ValueError for an unknown language."""
    try:
        names = chosen(languages)
    except ValueError as error:
        raise ValueError(f"data.languages: {error}") from None
    if not patterns:
        return lambda path: language_of(path) in names
    return lambda path: any(_matches(path, pattern) for pattern in patterns)


def files_below(
    root: Path,
    wanted: Callable[[str], bool],
    pruned: Sequence[str],
    skips: Skips,
    max_file_bytes: int,
    *,
    gitignore: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield (path relative to root, text) of the files below root that are wanted, ordered by path.

    Folders whose name matches one of pruned are not entered, whatever root is called. Opens nothing but folders and
    regular files, never waits and follows no link; all that is not yielded is counted in skips.
    """
    for path, ignored in _walk(root, pruned, gitignore, skips):
        try:
            if not wanted(path):
                raise Unfit("other file type")
            if name_says := left_out_by_name(path):
                raise Unfit(name_says)
            if path in ignored:
                raise Unfit("ignored by git")
            text = read_source(root / path, max_file_bytes)
        except Unfit as reason:
            skips.add(str(reason), path)
            continue
        yield path, text


def left_out_by_name(path: str) -> str:
    """Why the file at path is left out, lock file or minified file, by its name; "" where it is not."""
    name = posixpath.basename(path)
    return next((reason for reason, pattern in _FILES.items() if pattern.match(name)), "")


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(posixpath.basename(path), pattern)


def _licensed(files: Iterator[tuple[str, str]], root: Path) -> Iterator[Document]:
    licenses = licenses_in(root)
    for path, text in files:
        yield Document(text, path, group=path, language=language_of(path), license=licenses.of(path))


def _one(path: Path, skips: Skips, max_file_bytes: int) -> Iterator[tuple[str, str]]:
    try:
        path.name.encode()
        yield path.name, read_source(path, max_file_bytes)
    except UnicodeEncodeError:
        skips.add("file name not UTF-8", path.name)
    except Unfit as reason:
        skips.add(str(reason), path.name)


def _some(files: Iterator[tuple[str, str]], skips: Skips, complaint: str) -> Iterator[tuple[str, str]]:
    """Hand files on; ValueError with the complaint where there was none, left out ones included."""
    before, found = skips.counts.total(), False
    for file in files:
        found = True
        yield file
    if not found and skips.counts.total() == before:
        raise ValueError(complaint)


def _existing(path: str) -> Path:
    if not path:
        raise ValueError("data=folder needs the folder to read: data.path=~/code")
    try:
        root = Path(path).expanduser().resolve(strict=True)
        mode = root.stat().st_mode
        if stat.S_ISDIR(mode):
            next(root.iterdir(), None)
    except FileNotFoundError:
        raise ValueError(f"data.path={path}: there is no such folder") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, ~ of an unknown user, a NUL
        raise ValueError(f"data.path={shown(path)}: it cannot be read ({why(error)})") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise ValueError(f"data.path={path}: it is neither a folder nor a regular file")
    return root


def _walk(root: Path, pruned: Sequence[str], gitignore: bool, skips: Skips) -> Iterator[tuple[str, Ignored]]:
    """Yield the regular files below root as paths relative to it, ordered as Path orders them, with what is ignored.

    Opens nothing but folders (and .gitignore files, also above root) and follows no link: what is no regular file goes
    to skips.
    """
    pending = [("", Ignored.above(root, skips) if gitignore else Ignored())]
    while pending:
        path, ignored = pending.pop()
        try:
            path.encode()
            mode = (root / path).lstat().st_mode
            if stat.S_ISREG(mode):
                yield path, ignored
            elif not stat.S_ISDIR(mode):
                raise Unfit(_link(root / path, root) if stat.S_ISLNK(mode) else "not a regular file")
            else:
                name = posixpath.basename(path)
                if path and (matching := [pattern for pattern in pruned if fnmatchcase(name, pattern)]):
                    raise Unfit(_FOLDERS.get(matching[0], "folder left out by its name"))
                if path and f"{path}/" in ignored:
                    raise Unfit("folder ignored by git")
                names = sorted((child.name for child in (root / path).iterdir()), reverse=True)
                if path and (marks := _MARKS.keys() & set(names)):
                    raise Unfit(_MARKS[min(marks)])
                inside = ignored.below(root, path, names, skips) if gitignore else ignored
                pending.extend((posixpath.join(path, name), inside) for name in names)
        except UnicodeEncodeError:  # the bytes of the name that are not UTF-8 came as lone surrogates
            skips.add("file name not UTF-8", path)
        except OSError as error:
            skips.add(str(Unfit.because(error)), path)
        except Unfit as reason:
            skips.add(str(reason), path)


def _link(path: Path, folder: Path) -> str:
    """Say why a link is left out: what it leads to is not ours, or is read where it really stands."""
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return "broken link"
    except PermissionError:
        return "unreadable"
    except (RuntimeError, OSError):  # the latter from Python 3.13 on
        return "link loop"
    if not target.is_relative_to(folder):
        return "link out of the folder"
    return "link to a folder inside" if target.is_dir() else "link to a file inside"
