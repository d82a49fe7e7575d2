"""The regular files below a folder, found without opening anything else, waiting for anything or following a link.

Where it stands: the sources `folder` and `stdlib` find their files here, `sprig.data.reading` reads them.
"""

import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from sprig.data import left_out
from sprig.data.documents import Skips
from sprig.data.gitignore import Ignored
from sprig.data.reading import Unfit, read_source


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
    for path, ignored in walk(root, pruned, gitignore, skips):
        try:
            if not wanted(path):
                raise Unfit("other file type")
            if name_says := left_out.file_says(path):
                raise Unfit(name_says)
            if path in ignored:
                raise Unfit("ignored by git")
            text = read_source(root / path, max_file_bytes)
        except Unfit as reason:
            skips.add(str(reason), path)
            continue
        yield path, text


def state_below(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """A line for each file that differs once it was written anew, or is gone."""
    yield str(root)
    for path in paths:
        try:
            status = (root / path).lstat()
        except OSError:
            continue  # it vanished since it was found
        yield f"{path} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def walk(root: Path, pruned: Sequence[str], gitignore: bool, skips: Skips) -> Iterator[tuple[str, Ignored]]:
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
                if path and (name_says := left_out.folder_says(path, pruned)):
                    raise Unfit(name_says)
                if path and f"{path}/" in ignored:
                    raise Unfit("folder ignored by git")
                names = sorted((child.name for child in (root / path).iterdir()), reverse=True)
                if path and (contents_say := left_out.contents_say(names)):
                    raise Unfit(contents_say)
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
