"""The source `folder`: the source files below a folder.

Where it stands: the first step of the way data takes. `sprig.data.file_tree` finds files, `sprig.data.reading` reads
them; what a document is, what is clean and what is a duplicate comes later, the same for all sources. The sources
`stdlib` and `git` choose by its `selection`.
"""

import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from sprig.data.cleaning.license_files import is_license_file
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips
from sprig.data.file_tree import files_below, state_below, walk
from sprig.data.languages import chosen, language_of
from sprig.data.left_out import FOLDERS
from sprig.data.license_tree import licenses_in, links_in, names_in
from sprig.data.reading import Unfit, read_source, shown, why


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
    files = files_below(root, wanted, tuple(FOLDERS), skips, config.max_file_bytes, gitignore=config.gitignore)
    return _licensed(_some(files, skips, f"data.path={config.path}: there is no file in it"), root)


def state(config: Config) -> Iterator[str]:
    """The files below config.path that are read, and what says of them whether they are and under which licence.

    Not the others: a run that is in the folder itself would make its data anew each time.
    """
    root = _existing(config.path)
    if root.is_file():
        return state_below(root.parent, (root.name, *names_in(root.parent)))
    found = list(walk(root, tuple(FOLDERS), config.gitignore, Skips()))
    paths = [path for path, _ in found]
    wanted = selection(config.languages, config.patterns)
    heard = [path for path in paths if wanted(path) or is_license_file(posixpath.basename(path))]
    rules = {file for _, ignored in found for file in ignored.files}  # some stand in .git, which is not walked
    within = sorted({f"repository {ignored.repository}" for _, ignored in found})  # rules from above end at each
    return chain(state_below(root, [*heard, *sorted(rules)]), within, links_in(root, paths))


def selection(languages: Sequence[str], patterns: Sequence[str]) -> Callable[[str], bool]:
    """What tells by its path whether a file is to be read; ValueError for an unknown language, or for both chosen."""
    try:
        names = chosen(languages)
    except ValueError as error:
        raise ValueError(f"data.languages: {error}") from None
    if patterns and list(languages) not in ([], ["python"]):
        raise ValueError("data.patterns takes files of any language, and data.languages some: set one of them.")
    if not patterns:
        return lambda path: language_of(path) in names
    return lambda path: any(_matches(path, pattern) for pattern in patterns)


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
