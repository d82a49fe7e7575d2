"""What in a tree of files is not its project's own code, told by names: vendored, generated, locked, minified."""

import posixpath
import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase, translate

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
FOLDERS = {
    ".*": "hidden folder",
    **dict.fromkeys(VENDORED, "vendored folder"),
    **dict.fromkeys(_GENERATED, "generated folder"),
}
"""Patterns of the names of folders, and why those are left out."""
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


def is_vendored(path: str) -> bool:
    """Whether one of the folders that the file at path stands in holds code of other projects, by its name."""
    return not set(VENDORED).isdisjoint(path.split("/")[:-1])


def folder_says(path: str, pruned: Sequence[str]) -> str:
    """Why the folder at path is not entered, if its name matches one of the patterns in pruned; "" where it is."""
    name = posixpath.basename(path)
    matching = (pattern for pattern in pruned if fnmatchcase(name, pattern))
    return next((FOLDERS.get(pattern, "folder left out by its name") for pattern in matching), "")


def contents_say(names: Collection[str]) -> str:
    """Why a folder in which these names stand is left out; "" where it is not."""
    marks = _MARKS.keys() & set(names)
    return _MARKS[min(marks)] if marks else ""


def file_says(path: str) -> str:
    """Why the file at path is left out, lock file or minified file, by its name; "" where it is not."""
    name = posixpath.basename(path)
    return next((reason for reason, pattern in _FILES.items() if pattern.match(name)), "")
