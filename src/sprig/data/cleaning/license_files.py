"""Licence files -> SPDX expressions: what a text is the licence of, and which files say so for a file of code.

Where it stands: the sources that have folders ask it while they collect files; `licenses` asks it about the texts in
the metadata of packages. A licence is recognised by the sentences that make it what it is; names of holders, years
and line breaks are free.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from sprig.data.cleaning.license_names import NOT_WORDS, named
from sprig.data.cleaning.spdx import all_of
from sprig.data.languages import language_of

_BSD = "redistribution and use in source and binary forms with or without modification are permitted"
_ISC = (
    "permission to use copy modify and (?:or )?distribute this software for any purpose with or without fee "
    "is hereby granted"
)
_GNU = r"under the terms of the gnu (lesser |library |affero )?general public license.{0,60}?version (2 1|2|3)\b"
_TEXTS = [  # id or what tells it from the rest of the text, and how its text starts
    (
        "MIT",
        "permission is hereby granted free of charge to any person obtaining a copy of this software and associated",
    ),
    ("BSD", _BSD),
    ("ISC", _ISC),
    ("MIT-CMU", "by obtaining using and or copying this software and or its associated documentation you agree"),
    ("Apache-2.0", r"apache license version 2 0(?: january 2004)?\b"),
    ("MPL-2.0", "mozilla public license (?:version|v) 2 0"),
    ("GPL-2.0", "gnu general public license version 2 june 1991"),
    ("GPL-3.0", "gnu general public license version 3 29 june 2007"),
    ("LGPL-2.1", "gnu lesser general public license version 2 1 february 1999"),
    ("LGPL-3.0", "gnu lesser general public license version 3 29 june 2007"),
    ("AGPL-3.0", "gnu affero general public license version 3 19 november 2007"),
    ("GNU", _GNU),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("PSF-2.0", "(?:psf|python software foundation) license(?: agreement)?(?: for python [0-9 ]+| version 2)"),
    ("Zlib", "altered source versions must be plainly marked as such"),
    ("CC0-1.0", "cc0 1 0 universal"),
    ("BSL-1.0", "boost software license version 1 0"),
    ("EPL-2.0", "eclipse public license v(?:ersion)? 2 0"),
    ("EPL-1.0", "eclipse public license v(?:ersion)? 1 0"),
]
_STARTS = [(name, re.compile(start)) for name, start in _TEXTS]
# What makes of a licence another one, or names one that grants another only later or to some. Of the noncommercial, the
# GPL speaks as well.
_RIDERS = re.compile(
    "commons clause|shall be used for good not evil|(?<!commissioner for )human rights|our only modification"
    "|(?:hippocratic|business source|functional source|server side public|elastic|polyform [a-z ]{3,40}) license"
    "|competing use|additional use grant"
    "|(?<!commercial or )(?<!commercial and )non ?commercial(?!ly| distribution| (?:and|or) commercial)"
    "|commercial use (?:is|are) (?:strictly )?(?:prohibited|forbidden|not (?:allowed|permitted))"
    "|(?:no|not for|not permit|prohibits?|without) commercial use(?! of th)"
)
_RIDDEN = 15_000  # characters: the Apache licence has 11,000; further down stand the licences of what comes along
_REACH = 3_000  # characters: the longest BSD text has 1,900
_FIRST = 6_000  # characters: what starts further down is the licence of something else that comes along
_NAME = re.compile(
    r"(?:(?:[al]?gpl|mit|bsd|apache|mpl)[\w.]{0,8}-)?(?:(?:un)?licen[cs]es?|copying)(?![a-z])(?!.*\.(?:json|ya?ml|toml|xml|csv|tsv|png|svg)$)",
    re.I,
)


def of_license_file(text: str) -> str:
    """Recognise the text of a LICENSE file; returns the SPDX id of the first licence in it, "" where it knows none.

    The text of the GPL does not say whether later versions hold: its ids are the plain ones ("GPL-2.0").
    """
    words = NOT_WORDS.sub(" ", text.lower()).strip()
    if len(words) < 80:
        return named(words)
    if _RIDERS.search(words, 0, _RIDDEN):
        return ""
    found = sorted((match.start(), name, match) for name, start in _STARTS if (match := start.search(words, 0, _FIRST)))
    if not found:
        return ""
    at, name, match = found[0]
    rest = words[at : at + _REACH]
    # What else the file holds stands behind the next start of the same kind.
    again = re.search(f"{_BSD}|permission is hereby granted|{_ISC}", rest[len(match[0]) :])
    return _of_start(name, match, rest[: len(match[0]) + again.start()] if again else rest)


def _of_start(name: str, match: re.Match[str], rest: str) -> str:
    if name == "MIT":
        if "redistributions of source code" in rest:
            return "NCSA"
        if "except as contained in this notice the name" in rest:
            return "X11"
        if "this permission notice" in rest:
            return "MIT"
        return "" if " subject to " in rest else "MIT-0"
    if name == "ISC":
        return "ISC" if rest[len(match[0]) :].startswith(" provided that") else "0BSD"
    if name == "BSD":
        if "may not be called" in rest:
            return "Apache-1.1"
        if "all advertising materials mentioning" in rest:
            return "BSD-4-Clause"
        return "BSD-3-Clause" if re.search("endorse or promote products|used to endorse", rest) else "BSD-2-Clause"
    if name == "GNU":
        kind = {"lesser ": "LGPL-", "library ": "LGPL-", "affero ": "AGPL-"}.get(match[1] or "", "GPL-")
        return kind + {"2 1": "2.1", "2": "2.0", "3": "3.0"}[match[2]]
    return name


def is_license_file(name: str) -> bool:
    """Whether a file of that name holds a licence: LICENSE-MIT, COPYING.LESSER and Unlicense, but not licenses.py."""
    return _NAME.match(name) is not None and language_of(name) in ("", "html")


class LicenseFiles:
    """The licence files of one tree, each folder's read once."""

    def __init__(self, texts: Callable[[str], Iterable[str | None]]) -> None:
        """Take texts: those of the licence files in the folder at a posix path relative to the root, "." for itself.

        None is the text of a licence file that cannot be read.
        """
        self._texts = texts
        self._folders: dict[PurePosixPath, str | None] = {}

    def of(self, path: str) -> str:
        """Find the licence of the file at path: what the nearest folder, its own or one above, has licence files of.

        Of several in one folder all hold, which is more than a choice between them asks for. Where one of them cannot
        be read or is not recognised, the answer is "": it hides those beside and above it.
        """
        file = PurePosixPath(path)
        if file.is_absolute() or ".." in file.parts:
            return ""
        return next((known for folder in file.parents if (known := self._of_folder(folder)) is not None), "")

    def _of_folder(self, folder: PurePosixPath) -> str | None:
        if folder not in self._folders:
            found = {of_license_file(text or "") for text in self._texts(str(folder))}
            self._folders[folder] = (all_of(sorted(found)) if all(found) else "") if found else None
        return self._folders[folder]
