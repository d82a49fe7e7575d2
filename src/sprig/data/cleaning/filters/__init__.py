"""Filters: which files are no code to learn from. To add one, add it to a file here and a line to a YAML.

A filter is a pure function `(document, threshold) -> reason | None`: the reason, a few words in lower case, is what
the report counts the document under ("line over 1,000 characters"). The module that has it lists it in FILTERS under
the name by which `data.filters` gives its threshold, which is of the type that the function says; a threshold of null
switches it off. Filters are tried in the order of the YAML, and the first that objects decides. They import nothing
slow, for each worker imports all of them.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

from sprig.data.config import fits
from sprig.data.documents import Document, printable

Filter = Callable[[Document, Any], str | None]


@cache
def all_filters() -> dict[str, Filter]:
    """Every filter by its name."""
    found: dict[str, Filter] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").FILTERS
    return found


def chosen(thresholds: Mapping[str, Any]) -> list[tuple[Filter, Any]]:
    """The filters that are switched on, each with its threshold; ValueError for a name or a threshold that is none."""
    known = all_filters()
    filters = []
    for name, threshold in thresholds.items():
        if name not in known:
            [nearest] = difflib.get_close_matches(name, known, 1, cutoff=0)
            raise ValueError(f"data.filters.{printable(name)} is no filter; did you mean {nearest}?")
        wanted = get_type_hints(known[name]).get("threshold", Any)
        if threshold is not None and not fits(threshold, wanted):
            kind = {int: "a whole number", float: "a number"}.get(wanted, f"of type {wanted}")
            raise ValueError(f"data.filters.{name}={threshold!r:.80} must be {kind}, or null, which switches it off.")
        if threshold is not None:
            filters.append((known[name], threshold))
    return filters
