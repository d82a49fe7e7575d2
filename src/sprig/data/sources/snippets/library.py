"""All the concepts, by name: what snippets are drawn from and generated functions are judged by."""

from sprig.data.sources.snippets import (
    arithmetic,
    comparison,
    comprehensions,
    conditionals,
    dicts,
    lists,
    loops,
    methods,
    recursion,
    sets,
    strings,
)
from sprig.data.sources.snippets.concept import Concept

LIBRARY_VERSION = 1
"""Goes up when any snippet or case changes: equal seeds draw equal snippets only from equal versions."""

CATEGORIES = (
    arithmetic,
    comparison,
    strings,
    lists,
    dicts,
    sets,
    conditionals,
    loops,
    comprehensions,
    recursion,
    methods,
)

CONCEPTS: dict[str, Concept] = {concept.name: concept for category in CATEGORIES for concept in category.CONCEPTS}
