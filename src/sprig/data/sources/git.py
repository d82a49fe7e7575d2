"""The source `git`: the files that git repositories track, at a revision.

Where it stands: the first step of the way data takes. It reads the object store, never a checkout, and chooses among
the files as the source `folder` does. What a repository's own configuration names (monitors, filters, hooks, remotes)
is not run: the code of strangers is data here.
"""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sprig.data import left_out
from sprig.data.cleaning.license_files import LicenseFiles, is_license_file
from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips, printable
from sprig.data.git_objects import Objects, run
from sprig.data.languages import language_of
from sprig.data.reading import Unfit, source_text, why
from sprig.data.sources.folder import selection

_SECONDS = 60  # for finding a revision: a configuration may include a pipe
_MAX_LICENSE_BYTES = 1_000_000
_LONGEST_PATH = 4_096  # bytes


@dataclass
class Config(DataConfig):
    """Code in repositories, as it was committed."""

    source: str = "git"
    paths: list[str] = field(default_factory=list)
    """Repositories on this machine, bare ones included: [~/code/project,~/code/other.git]."""
    revision: str = "HEAD"
    """The branch, tag or commit whose files are read, in each of them."""
    languages: list[str] = field(default_factory=lambda: ["python"])
    """Languages to read, by the names of sprig.data.languages: [python,c++]; [] reads all that it knows."""
    patterns: list[str] = field(default_factory=list)
    """If given, the files to read, in any language, by name or path, where * matches / too: ['*.js','src/*.ts']."""
    max_file_bytes: int = 1_000_000
    """Larger files are skipped: they are data or generated."""
    by_repository: bool | None = None
    """Whether the files of a repository are one group; null: where there are several repositories."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the files of each repository of config.paths, ordered by path; ValueError where there is none to read.

    The group is the repository's name where there are several, so that none stands on both sides of the split, or
    where config.by_repository says so. A single group could not be split: of one repository, each file is its own.
    Left out are files in vendored folders, lock files and minified files, as in the source `folder`; not what is
    hidden or named like a build, since what is tracked was written.
    """
    wanted = selection(config.languages, config.patterns)
    paths: object = config.paths
    if not isinstance(paths, list) or not paths:
        raise ValueError("data=git needs a list of the repositories to read: 'data.paths=[\"~/code/project\"]'")
    repositories = [_open(path, config.revision) for path in config.paths]
    twice = [path for path, count in Counter(repository.path for repository in repositories).items() if count > 1]
    if twice:
        raise ValueError(f"data.paths: {twice[0]} is given twice")
    return _documents(repositories, config, wanted, skips)


def state(config: Config) -> Iterator[str]:
    """The commits that are read."""
    for path in config.paths:
        repository = _open(path, config.revision)
        yield f"{repository.path} {repository.commit}"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository with the commit that is read of it."""

    path: Path
    commit: str

    @property
    def name(self) -> str:
        """What it is called: "sprig" for ~/code/sprig, ~/code/sprig/.git and ~/code/sprig.git."""
        folder = self.path.parent if self.path.name == ".git" else self.path
        return printable(folder.name.removesuffix(".git") or str(folder))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of `git ls-tree -l`."""

    path: str
    mode: str
    object: str
    size: int | None
    """In bytes; None where it has none, or where the object is not there."""


def _documents(
    repositories: Sequence[_Repository], config: Config, wanted: Callable[[str], bool], skips: Skips
) -> Iterator[Document]:
    several = len(repositories) > 1
    by_repository = several if config.by_repository is None else config.by_repository
    shared = len({repository.name for repository in repositories}) < len(repositories)
    for repository, given in zip(repositories, config.paths, strict=True):
        name = printable(str(repository.path)) if shared else repository.name
        prefix = f"{name}/" if several else ""
        entries = _entries(repository)
        if not entries:
            raise ValueError(f"data.paths: {given} has no file at {config.revision}")
        with closing(Objects(repository.path)) as objects:
            licenses = LicenseFiles(_license_texts(entries, objects))
            for entry in entries:
                try:
                    text = _text(entry, objects, config.max_file_bytes, wanted)
                except Unfit as reason:
                    skips.add(str(reason), prefix + entry.path)
                    continue
                path = prefix + entry.path
                yield Document(
                    text,
                    path,
                    group=name if by_repository else path,
                    language=language_of(path),
                    license=licenses.of(entry.path),
                )


def _text(entry: _Entry, objects: Objects, max_bytes: int, wanted: Callable[[str], bool]) -> str:
    try:
        entry.path.encode()
    except UnicodeEncodeError:
        raise Unfit("file name not UTF-8") from None
    if not entry.mode.startswith("100"):
        raise Unfit({"120000": "symbolic link", "160000": "submodule"}.get(entry.mode, "not a regular file"))
    if not wanted(entry.path):
        raise Unfit("other file type")
    if left_out.is_vendored(entry.path):
        raise Unfit("file in a vendored folder")
    if name_says := left_out.file_says(entry.path):
        raise Unfit(name_says)
    if entry.size is not None and entry.size > max_bytes:
        raise Unfit.over(max_bytes)
    data = None if entry.size is None else objects.read(entry.object, entry.size)
    if data is None:
        raise Unfit("object missing or damaged")
    return source_text(data, entry.path)


def _license_texts(entries: Sequence[_Entry], objects: Objects) -> Callable[[str], list[str | None]]:
    """What reads a folder's licence files, None for one that cannot be read; of links, those to what is tracked."""
    files = {entry.path: entry for entry in entries}
    folders = defaultdict[str, list[_Entry]](list)
    for entry in entries:
        folder, name = posixpath.split(entry.path)
        if is_license_file(name):
            folders[folder or "."].append(entry)

    def read(entry: _Entry) -> str | None:
        if entry.mode == "120000" and entry.size is not None and entry.size <= _LONGEST_PATH:
            target = (objects.read(entry.object, entry.size) or b"").decode(errors="replace")
            entry = files.get(posixpath.normpath(posixpath.join(entry.path, "..", target)), entry)
        try:
            return _text(entry, objects, _MAX_LICENSE_BYTES, lambda _: True)
        except Unfit:
            return None

    return lambda folder: [read(entry) for entry in folders.get(folder, ())]


def _open(path: str, revision: str) -> _Repository:
    """The repository at path, the folder itself and none above it; ValueError where git does not read it."""
    try:
        root = Path(path).expanduser().resolve(strict=True)
        if not root.is_dir():
            raise NotADirectoryError(0, "Not a directory")
    except FileNotFoundError:
        raise ValueError(f"data.paths: {path}: there is no such folder") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, ~ of an unknown user, a NUL
        raise ValueError(f"data.paths: {path!r}: it cannot be read ({why(error)})") from None
    if not revision or revision.startswith("-") or not revision.isprintable():
        raise ValueError(f"data.revision={revision!r} is no name of a commit")
    answer = run(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", seconds=_SECONDS)
    complaint = answer.stderr.decode(errors="replace")
    if fix := re.search(r"git config --global --add safe\.directory .+", complaint):
        raise ValueError(f"data.paths: {path} belongs to another user. To read it all the same: {fix[0]}")
    if "not a git repository" in complaint:
        raise ValueError(f"data.paths: {path} is no git repository (data=folder reads any folder)")
    commit = answer.stdout.decode(errors="replace").strip()
    if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return _Repository(root, commit)
    raise ValueError(_because(f"data.revision={revision}: {path} has no such commit", complaint))


def _entries(repository: _Repository) -> list[_Entry]:
    """All that the commit tracks, ordered as Path orders it; objects are asked for nothing but their size."""
    answer = run(repository.path, "ls-tree", "-r", "-l", "-z", "--full-tree", repository.commit)
    complaint = answer.stderr.decode(errors="replace")
    if answer.returncode and "promisor remote" in complaint:
        raise ValueError(
            f"data.paths: {repository.path} is a partial clone, and nothing is fetched here: clone it in full"
        )
    if answer.returncode:
        raise ValueError(_because(f"data.paths: git cannot list {repository.path}", complaint))
    entries = []
    for line in answer.stdout.split(b"\0")[:-1]:
        about, path = line.split(b"\t", 1)
        mode, _, name, size = about.decode().split()
        number = int(size) if size.isdigit() else None
        entries.append(_Entry(path.decode("utf-8", "surrogateescape"), mode, name, number))
    return sorted(entries, key=lambda entry: entry.path.split("/"))


def _because(what: str, complaint: str) -> str:
    lines = [line for line in complaint.splitlines() if line.startswith(("fatal: ", "error: "))]
    return f"{what} ({lines[0].partition(': ')[2]})" if lines else what
