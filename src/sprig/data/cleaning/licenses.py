"""Under which licence a piece of code stands, as an SPDX expression, and whether that is one that was asked for.

Where it stands: sources ask it while they collect files (`LicenseFiles`, `of_metadata`), cleaning asks it for each
file (`of_header`, `allowed`), before anything else is done to the text. Expressions are those of the SPDX
specification (annex "SPDX license expressions"), metadata those of Python packages (PEP 639, core metadata). A
licence is recognised by the sentences that make it what it is; names of holders, years and line breaks are free.
"""

import re
from collections.abc import Callable, Sequence
from email.message import Message
from functools import lru_cache
from pathlib import PurePosixPath

from sprig.data.cleaning.spdx import FAMILY, family, ids_of, is_expression, satisfied

# Blue Oak Council's permissive list (blueoakcouncil.org/list), model to bronze, less what no package names; and
# PSF-2.0, which is the part of the list's Python-2.0 that still applies.
_BLUE_OAK = (
    "BlueOak-1.0.0 BSD-2-Clause-Patent ADSL Apache-2.0 APAFML BSD-1-Clause BSD-2-Clause BSD-2-Clause-FreeBSD "
    "BSD-2-Clause-NetBSD BSD-2-Clause-Views BSL-1.0 DSDP ECL-1.0 ECL-2.0 ImageMagick ISC Linux-OpenIB MIT MS-PL Mup "
    "PostgreSQL Spencer-99 UPL-1.0 Xerox 0BSD AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 AMDPLPA AML AMPAS ANTLR-PD "
    "Apache-1.0 Apache-1.1 Artistic-2.0 BSD-3-Clause BSD-3-Clause-Attribution BSD-3-Clause-Clear BSD-3-Clause-LBNL "
    "BSD-4-Clause BSD-4-Clause-UC BSD-Source-Code bzip2-1.0.5 bzip2-1.0.6 CC0-1.0 CNRI-Jython CNRI-Python "
    "CNRI-Python-GPL-Compatible Cube curl eGenix Entessa FTL ICU Info-ZIP Intel JasPer-2.0 Libpng libtiff MIT-0 "
    "MIT-advertising MIT-CMU MIT-enna MIT-feh MITNFA MTLL Multics Naumen NCSA Net-SNMP NetCDF NTP OLDAP-2.8 OML "
    "OpenSSL PHP-3.0 PHP-3.01 Python-2.0 Ruby SGI-B-2.0 SMLNJ TCL TCP-wrappers Unicode-DFS-2015 Unicode-DFS-2016 "
    "Unlicense VSL-1.0 W3C X11 XFree86-1.1 Xnet Zlib zlib-acknowledgement ZPL-2.0 ZPL-2.1"
)
PERMISSIVE = frozenset((*_BLUE_OAK.split(), "PSF-2.0"))
_OTHERS = (
    "AGPL-1.0 AGPL-3.0 APSL-2.0 Artistic-1.0 Artistic-1.0-Perl Beerware BUSL-1.1 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-4.0 "
    "CC-BY-NC-SA-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CDDL-1.0 CDDL-1.1 CECILL-2.1 CECILL-B CECILL-C CPAL-1.0 CPL-1.0 "
    "Elastic-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.1 GFDL-1.2 GFDL-1.3 GPL-1.0 GPL-2.0 GPL-3.0 HPND IJG "
    "IPL-1.0 LGPL-2.0 LGPL-2.1 LGPL-3.0 LPPL-1.3c MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-RL "
    "MulanPSL-2.0 NASA-1.3 NPL-1.1 OFL-1.1 OSL-3.0 Parity-7.0.0 PolyForm-Noncommercial-1.0.0 QPL-1.0 RPL-1.5 "
    "Sleepycat SSPL-1.0 Unicode-3.0 Vim W3C-20150513 WTFPL"
)
_KNOWN = {name.lower(): name for name in (*PERMISSIVE, *_OTHERS.split())}

_NOT_WORDS = re.compile(r"[\W_]+")
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
_RIDERS = re.compile("commons clause|shall be used for good not evil")  # no longer the licence they stand in
_REACH = 3_000  # characters: the longest BSD text has 1,900
_FIRST = 6_000  # characters: what starts further down is the licence of something else that comes along

_HEADER_LINES = 30
_HEADER = re.compile(r"^[^\w\n]*(?:(?:REM|rem|dnl)[ \t]+)?SPDX-License-Identifier:[ \t]*([^\n]{1,300})", re.M)
_COMMENT_END = re.compile(r"\s*(?:\*+/|--+>|\*\)|#\}|%>|\?>|\"\"\"|'''|[*#;]+)?\s*$")

# What packages write where they should write an id, in letters and digits.
_ALIASES = {
    **{"".join(_NOT_WORDS.split(name)): known for name, known in _KNOWN.items()},
    **dict.fromkeys(("mitlicense", "themitlicense", "themitlicensemit", "expat", "mitlicensemit"), "MIT"),
    **dict.fromkeys(
        ("bsd", "bsdlicense", "newbsd", "newbsdlicense", "modifiedbsd", "modifiedbsdlicense"), "BSD-3-Clause"
    ),
    **dict.fromkeys(("bsd3", "3clausebsd", "3clausebsdlicense", "bsd3clauselicense", "revisedbsd"), "BSD-3-Clause"),
    **dict.fromkeys(
        ("bsd2", "2clausebsd", "simplifiedbsd", "simplifiedbsdlicense", "bsd2clauselicense"), "BSD-2-Clause"
    ),
    **dict.fromkeys(("apache", "apache2", "apachelicense", "apachelicense2", "apachelicense20"), "Apache-2.0"),
    **dict.fromkeys(("apachelicenseversion20", "apachesoftwarelicense", "apachesoftwarelicense20"), "Apache-2.0"),
    **dict.fromkeys(("asl20", "apachev2", "apachelicensev20", "apache2license", "apache20license"), "Apache-2.0"),
    **dict.fromkeys(("isclicense", "isclicenseiscl", "iscl"), "ISC"),
    **dict.fromkeys(("psf", "psfl", "psflicense", "pythonsoftwarefoundationlicense"), "PSF-2.0"),
    **dict.fromkeys(("mpl2", "mozillapubliclicense20mpl20", "mozillapubliclicense20"), "MPL-2.0"),
    **dict.fromkeys(("unlicense", "theunlicense", "theunlicenseunlicense"), "Unlicense"),
    **dict.fromkeys(("zopepubliclicense",), "ZPL-2.1"),
    **dict.fromkeys(("gpl", "gnugpl", "gnugeneralpubliclicensegpl"), "GPL-1.0-or-later"),
    **dict.fromkeys(("lgpl", "gnulesserpubliclicenselgpl"), "LGPL-2.0-or-later"),
    **dict.fromkeys(("gplv2", "gpl2", "gnugeneralpubliclicensev2gplv2"), "GPL-2.0-only"),
    **dict.fromkeys(("gplv3", "gpl3", "gnugplv3", "gnugeneralpubliclicensev3gplv3"), "GPL-3.0-only"),
    **dict.fromkeys(("gplv2+", "gnugeneralpubliclicensev2orlatergplv2"), "GPL-2.0-or-later"),
    **dict.fromkeys(("gplv3+", "gnugeneralpubliclicensev3orlatergplv3"), "GPL-3.0-or-later"),
    **dict.fromkeys(("lgplv3", "gnulessergeneralpubliclicensev3lgplv3"), "LGPL-3.0-only"),
    **dict.fromkeys(("gnulessergeneralpubliclicensev3orlaterlgplv3",), "LGPL-3.0-or-later"),
    **dict.fromkeys(("gnulessergeneralpubliclicensev2orlaterlgplv2",), "LGPL-2.0-or-later"),
    **dict.fromkeys(("agplv3", "gnuafferogeneralpubliclicensev3"), "AGPL-3.0-only"),
    **dict.fromkeys(("gnuafferogeneralpubliclicensev3orlateragplv3",), "AGPL-3.0-or-later"),
    **dict.fromkeys(("boostsoftwarelicense10bsl10",), "BSL-1.0"),
    **dict.fromkeys(("zliblibpnglicense", "zliblicense"), "Zlib"),
    **dict.fromkeys(("mitnoattributionlicensemit0",), "MIT-0"),
    **dict.fromkeys(("cc010universalcc010publicdomaindedication", "cc0"), "CC0-1.0"),
    **dict.fromkeys(("eclipsepubliclicense20epl20",), "EPL-2.0"),
    **dict.fromkeys(("historicalpermissionnoticeanddisclaimerhpnd",), "HPND"),
    **dict.fromkeys(("universalpermissivelicenseupl",), "UPL-1.0"),
    **dict.fromkeys(("academicfreelicenseafl",), "AFL-3.0"),
}


def of_license_file(text: str) -> str:
    """Recognise the text of a LICENSE file; returns the SPDX id of the first licence in it, "" where it knows none.

    The text of the GPL does not say whether later versions hold: its ids are the plain ones ("GPL-2.0").
    """
    words = _NOT_WORDS.sub(" ", text.lower()).strip()
    if len(words) < 80:
        return _named(words)
    if _RIDERS.search(words):
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


def of_header(text: str) -> str:
    """Read the SPDX-License-Identifier of a file's first 30 lines; "" where there is none, or it is no expression.

    Several of them all hold (REUSE specification): they are joined by AND.
    """
    if "SPDX-" not in text:
        return ""
    head = "\n".join(text.split("\n", _HEADER_LINES)[:_HEADER_LINES])
    found = []
    for match in _HEADER.finditer(head):
        expression = " ".join(_COMMENT_END.sub("", match[1]).split())
        if is_expression(expression) and expression not in found:
            found.append(expression)
    return _all_of(found)


def of_metadata(metadata: Message) -> str:
    """Read the licence of a Python package's metadata; returns an SPDX expression, "" where nothing certain is said.

    License-Expression counts first, then License (an id, a usual name, or a whole text), then the classifiers. A
    package does not say whether one or all of its classifiers hold: all of them do here.
    """
    expression = " ".join(str(metadata.get("License-Expression", "")).split())
    if expression and is_expression(expression):
        return expression
    stated = str(metadata.get("License", "")).strip()
    if stated:
        known = _named(stated) if len(stated) < 80 else of_license_file(stated)
        if known:
            return known
        if is_expression(stated) and all(_known(name) for name in ids_of(stated)):
            return " ".join(stated.split())
    classifiers = [str(line).split("::") for line in metadata.get_all("Classifier", [])]
    names = [parts[-1].strip() for parts in classifiers if parts[0].strip() == "License" and len(parts) > 1]
    licenses = [_named(name) for name in names if name != "OSI Approved"]
    return _all_of(sorted(set(licenses))) if all(licenses) else ""


def _named(name: str) -> str:
    letters = "".join(_NOT_WORDS.split(name.lower()))
    return _ALIASES.get(letters + "+" * name.endswith("+"), "") or _ALIASES.get(letters, "")


def _known(name: str) -> str:
    suffix = FAMILY.search(name)
    base = _KNOWN.get(family(name), "")
    return base + suffix[0] if base and suffix else base


def _all_of(expressions: Sequence[str]) -> str:
    if len(expressions) < 2:
        return "".join(expressions)
    return " AND ".join(f"({each})" if " OR " in each.upper() else each for each in expressions)


def allowed(expression: str, wanted: str | Sequence[str]) -> bool:
    """Whether code under an expression may be taken: wanted is "any", "permissive" or a list of SPDX ids.

    Of OR one side must be wanted, of AND both; an exception (WITH) only adds to what its licence permits. "GPL-2.0"
    stands for its -only and -or-later too. A licence that is not known, or is no expression, is allowed by "any".
    Raises ValueError for a list with a name that is no SPDX id, and for what is no list.
    """
    if wanted == "any":
        return True
    listed = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
        raise ValueError(
            f'data.licenses: {wanted!r:.80} must be "any", "permissive" or a list of SPDX ids such as "MIT"'
        )
    names = _permissive() if wanted == "permissive" else _wanted(tuple(listed))
    return satisfied(expression, names) or False


@lru_cache(maxsize=64)
def _wanted(names: tuple[str, ...]) -> frozenset[str]:
    if not names:
        raise ValueError('data.licenses: the list names no licence; "any" takes all code')
    for name in names:
        if not _known(name) and not name.startswith("LicenseRef-"):
            raise ValueError(
                f'data.licenses: {name!r} is no SPDX id known here; say "any", "permissive" or ids such as "MIT"'
            )
    return frozenset(family(name) for name in names)


@lru_cache(maxsize=1)
def _permissive() -> frozenset[str]:
    return frozenset(map(family, PERMISSIVE))


_STEMS = ("LICENSE", "LICENCE", "COPYING", "License", "Licence", "license", "licence")
LICENSE_FILES = [stem + suffix for stem in _STEMS for suffix in ("", ".txt", ".md", ".rst")]
"""Names that a licence file has."""


class LicenseFiles:
    """The licence files of one tree, each folder's read once."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        """Take read: the text of the file at a posix path relative to the root, None where there is none."""
        self._read = read
        self._folders: dict[PurePosixPath, str | None] = {}

    def of(self, path: str) -> str:
        """Find the licence of the file at path: that of the nearest licence file in its folder or above it.

        A licence file that nobody recognises hides those above it: the answer is "".
        """
        file = PurePosixPath(path)
        if file.is_absolute() or ".." in file.parts:
            return ""
        return next((known for folder in file.parents if (known := self._of_folder(folder)) is not None), "")

    def _of_folder(self, folder: PurePosixPath) -> str | None:
        if folder not in self._folders:
            texts = [text for name in LICENSE_FILES if (text := self._read(str(folder / name))) is not None]
            known = [license for text in texts if (license := of_license_file(text))]
            self._folders[folder] = known[0] if known else "" if texts else None
        return self._folders[folder]
