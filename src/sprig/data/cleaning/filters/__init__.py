"""Filters: which files are no code to learn from. To add one, add it to a file here and a line to a YAML.

A filter is a pure function `(document, threshold) -> reason | None`: the reason, a few words in lower case, is what
the report counts the document under ("line over 1,000 characters"). The module that has it lists it in FILTERS under
the name by which `data.filters` gives its threshold; a threshold of null switches it off. Filters are tried in the
order of the YAML, and the first that objects decides. They import nothing slow, for each worker imports all of them.
"""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

from sprig.data.documents import Document

Filter = Callable[[Document, Any], str | None]


@cache
def all_filters() -> dict[str, Filter]:
    """Every filter by its name."""
    found: dict[str, Filter] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").FILTERS
    return found
