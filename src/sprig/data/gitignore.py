"""What .gitignore files leave out of a folder, as git reads them, in time that no rule can stretch.

Where it stands: beside the source `folder`, which asks it for each file and folder on its walk.
"""

import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sprig.data.documents import Skips
from sprig.data.reading import Unfit, read_bytes

# Of one file. No path is longer than 4,096 bytes; what is beyond these limits ignores nothing.
_MAX_RULES_BYTES, _MAX_RULES, _MAX_RULE = 1_000_000, 10_000, 4096
_CLASSES = {
    **{"alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9"},
    **{"graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r" \t-\r", "upper": "A-Z"},
    "xdigit": "0-9A-Fa-f",
}
_Rule = tuple[re.Pattern[str], bool, bool]
"""What it matches whole, whether that is a name or a path below its folder, and whether it ignores; folders with / ."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """What the .gitignore files from a repository's top down to one folder leave out: `path in ignored`.

    Paths are relative to the root that is walked, a folder's ends with / . Asked for a path only where none of the
    folders above it, below the root, is ignored: git never looks into an ignored folder
    (https://git-scm.com/docs/gitignore).
    """

    prefix: str = ""
    """What leads from the top to the root: "src/lib/"."""
    levels: tuple[tuple[str, list[_Rule]], ...] = ()
    """Folder, from the top, and its rules, both from weak to strong."""
    files: tuple[str, ...] = ()
    """Where the rules of all levels were read, relative to the root."""
    repository: str | None = None
    """The folder, from the top, of the repository that what is asked for is in; None where there is none."""

    def __contains__(self, path: str) -> bool:
        return self._ignores(self.prefix + path)

    def _ignores(self, path: str) -> bool:
        """What the rules say of a path from the top."""
        name = path[path.rfind("/", 0, -1) + 1 :]
        for folder, rules in reversed(self.levels):
            below = path[len(folder) :]
            for pattern, of_names, ignores in reversed(rules):
                if pattern.fullmatch(name if of_names else below):
                    return ignores
        return False

    @classmethod
    def above(cls, root: Path, skips: Skips) -> "Ignored":
        """What is ignored in root by the files above it, where it is a part of a repository.

        Nothing, where root itself is ignored, or a folder that it is in: git knows no rules in there, and whoever
        names it wants it.
        """
        top = next((folder for folder in root.parents if os.path.lexists(folder / ".git")), None)
        if top is None:
            return cls()
        inside = [f"{part}/" for part in root.relative_to(top).parts]
        ignored = cls("".join(inside))
        for depth in range(len(inside)):
            up = "../" * (len(inside) - depth)
            names = [name for name in (".git", ".gitignore") if os.path.lexists(root / up / name)]
            ignored = ignored._with_rules(root, up, "".join(inside[:depth]), names, skips)
            if ignored._ignores("".join(inside[: depth + 1])):
                return cls(ignored.prefix, files=ignored.files, repository=ignored.repository)
        return ignored

    def below(self, root: Path, path: str, names: Sequence[str], skips: Skips) -> "Ignored":
        """What is ignored in the folder at path, which has entries of these names."""
        return self._with_rules(root, path, self.prefix + (f"{path}/" if path else ""), names, skips)

    def _with_rules(self, root: Path, path: str, folder: str, names: Sequence[str], skips: Skips) -> "Ignored":
        """What is ignored in the folder at path, which is folder from the top."""
        above, sources = self, [".gitignore"]
        if ".git" in names:  # a repository of its own: rules from above do not reach into it
            above, sources = Ignored(self.prefix, repository=folder), [".git/info/exclude", ".gitignore"]
        if not {".git", ".gitignore"} & set(names):
            return above
        files = [posixpath.join(path, source) for source in sources]
        rules = [rule for file in files for rule in _rules(root, file, skips)]
        if not rules:
            return above
        return Ignored(self.prefix, (*above.levels, (folder, rules)), (*above.files, *files), above.repository)


def _rules(root: Path, path: str, skips: Skips) -> list[_Rule]:
    try:
        text = read_bytes(root / path, _MAX_RULES_BYTES).removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    except Unfit as reason:
        if (root / path).is_file() and not (root / path).is_symlink():  # others are counted on the walk
            skips.add(f"rules of .gitignore not read: {reason}", path)
        return []
    rules = []
    for number, line in enumerate(text.split("\n")):
        if len(line) > _MAX_RULE or number >= _MAX_RULES:
            skips.add("rule of .gitignore too long, or one too many", path)
        elif rule := _rule(line.removesuffix("\r")):
            rules.append(rule)
    return rules


def _rule(line: str) -> _Rule | None:
    """What a line means; None for one that means nothing, of which git does not complain either."""
    bare = line.rstrip(" ")
    escaped = len(bare) < len(line) and (len(bare) - len(bare.rstrip("\\"))) % 2
    body = (bare + " " * escaped).removeprefix("!")
    pattern = body.removesuffix("/")
    segments = pattern.removeprefix("/").split("/")
    if line.startswith("#") or "" in segments:
        return None
    of_names = "/" not in pattern
    try:
        regex = _segment(pattern) if of_names else _path(segments)
    except ValueError:
        return None
    return re.compile(regex + ("/" if body != pattern else "/?"), re.DOTALL), of_names, not line.startswith("!")


# Wildcards as regular expressions that never go back. A part of a pattern between two * has one length, so that the
# first place where it fits leaves most for the parts behind it: no other place need be tried (?>), and the time is
# that of the pattern times that of the path. The same holds for the folders between two **.


def _path(segments: Sequence[str]) -> str:
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment != "**":
            runs[-1].append(_segment(segment))
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    first, *others = ("/".join(run) for run in runs)
    if not others:
        return first
    *middle, last = others
    regex = (f"{first}/" if first else "") + "".join(f"(?>(?:[^/]++/)*?{run}/)" for run in middle)
    return regex + (f"(?:[^/]++/)*?{last}" if last else ".+")


def _segment(glob: str) -> str:
    """A name in a pattern; ValueError where it is not well-formed, and matches nothing."""
    parts, at = [""], 0
    while at < len(glob):
        letter, at = glob[at], at + 1
        if letter == "*":
            if parts[-1] or len(parts) == 1:
                parts.append("")
        elif letter == "?":
            parts[-1] += "[^/]"
        elif letter == "[":
            regex, at = _set(glob, at)
            parts[-1] += regex
        else:
            if letter == "\\":
                letter, at = _letter(glob, at)
            parts[-1] += re.escape(letter)
    first, *others = parts
    if not others:
        return first
    *middle, last = others
    if not (first or middle or last):
        return "[^/]+"  # what stands before the / at the end of a folder's path is not nothing
    return first + "".join(f"(?>[^/]*?{part})" for part in middle) + f"[^/]*{last}"


def _set(glob: str, at: int) -> tuple[str, int]:
    """The letters in brackets, which have been opened before at, and where they end."""
    negated = glob[at : at + 1] in ("!", "^")
    at += negated
    start, ranges = at, ""
    while at == start or glob[at : at + 1] != "]":
        if glob.startswith("[:", at):
            name, closed, _ = glob[at + 2 :].partition(":]")
            if not closed or name not in _CLASSES:
                raise ValueError("no class of letters")
            ranges, at = ranges + _CLASSES[name], at + len(name) + 4
            continue
        low, at = _letter(glob, at, escapes=True)
        high = low
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            high, at = _letter(glob, at + 1, escapes=True)
        if low <= high:
            ranges += f"{re.escape(low)}-{re.escape(high)}"
    letters = f"[{'^' * negated}{ranges}]" if ranges else "[^/]" if negated else "(?!)"
    return f"(?!/){letters}", at + 1


def _letter(glob: str, at: int, escapes: bool = False) -> tuple[str, int]:
    if escapes and glob[at : at + 1] == "\\":
        at += 1
    if at >= len(glob):
        raise ValueError("cut off")
    return glob[at], at + 1
