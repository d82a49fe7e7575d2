"""Under which licence a piece of code stands, as an SPDX expression, and whether that is one that was asked for.

Where it stands: sources ask it about what stands beside code (`of_metadata`, `of_statement`), cleaning asks it for each
file (`of_header`, `allowed`), before anything else is done to the text. Expressions are those of the SPDX
specification (annex "SPDX license expressions"), metadata those of Python packages (PEP 639, core metadata).
Everywhere "" is a licence that is not known, and what is stated and not understood is not known.
"""

import re
from collections.abc import Sequence
from email.message import Message
from functools import lru_cache

from sprig.data.cleaning.license_files import of_license_file
from sprig.data.cleaning.license_names import PERMISSIVE, known, named
from sprig.data.cleaning.spdx import all_of, family, ids_of, is_expression, satisfied

_HEADER_LINES = 30
# At the start of a line, or behind white space in it; not in a string, but for one that a line starts with.
_HEADER = re.compile(r"(?:^[^\w\n\"']*(?:\"\"\"|''')?|[ \t])SPDX-License-Identifier:[ \t]*([^\n]{0,300})(.?)", re.M)
_COMMENT_END = re.compile(r"\s*(?:\*+/|--+>|\*\)|#\}|%>|\?>|\"\"\"|'''|[*#;]+)?\s*$")


def of_header(text: str) -> str | None:
    """Read the SPDX-License-Identifier of a file's first 30 lines; None where there is none, "" for no expression.

    Several of them all hold (REUSE specification): they are joined by AND.
    """
    if "SPDX-" not in text:
        return None
    head = "\n".join(text.split("\n", _HEADER_LINES)[:_HEADER_LINES])
    found = ["" if more else " ".join(_COMMENT_END.sub("", stated).split()) for stated, more in _HEADER.findall(head)]
    if not found:
        return None
    return all_of(dict.fromkeys(found)) if all(map(is_expression, found)) else ""


def of_metadata(metadata: Message) -> str:
    """Read the licence of a Python package's metadata; returns an SPDX expression, "" where nothing certain is said.

    License-Expression counts first, then License, then the classifiers, which do not say whether one or all of them
    hold: all of them do here. What counts and is not understood is not made up for by what comes after it.
    """
    expression = " ".join(str(metadata.get("License-Expression", "")).split())
    if expression:
        return expression if is_expression(expression) else ""
    stated = str(metadata.get("License", "")).strip()
    if stated and stated.upper() != "UNKNOWN":  # as setuptools wrote where nothing was stated
        return of_statement(stated)
    classifiers = [str(line).split("::") for line in metadata.get_all("Classifier", [])]
    names = [parts[-1].strip() for parts in classifiers if parts[0].strip() == "License" and len(parts) > 1]
    licenses = [named(name) for name in names if name != "OSI Approved"]
    return all_of(sorted(set(licenses))) if all(licenses) else ""


def of_statement(stated: str) -> str:
    """The SPDX expression for what someone has stated: an id, a usual name, an expression of ids or a whole text.

    "" where it is none of these, or names a licence that is not known (LicenseRef-... may be anything).
    """
    if understood := named(stated) if len(stated) < 80 else of_license_file(stated):
        return understood
    expression = " ".join(stated.split())
    if is_expression(expression) and all(known(id) or id.startswith("LicenseRef-") for id in ids_of(expression)):
        return expression
    return ""


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
        if not known(name) and not name.startswith("LicenseRef-"):
            raise ValueError(
                f'data.licenses: {name!r} is no SPDX id known here; say "any", "permissive" or ids such as "MIT"'
            )
    return frozenset(family(name) for name in names)


@lru_cache(maxsize=1)
def _permissive() -> frozenset[str]:
    return frozenset(map(family, PERMISSIVE))
