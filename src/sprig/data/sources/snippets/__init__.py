"""The source `snippets`: short Python functions, drawn from a library of concepts that can judge them.

Where it stands: the first step of the way data takes, and again the last, where evaluation judges by their
concept what a model wrote. The library (library.py, a file for each category) is imported only when used.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import zip_longest
from typing import TYPE_CHECKING

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips

if TYPE_CHECKING:
    from sprig.data.sources.snippets.concept import Concept


@dataclass
class Config(DataConfig):
    """Which snippets to generate."""

    source: str = "snippets"
    count: int = 10_000
    """How many distinct snippets to draw from all that the concepts give."""
    concepts: list[str] = field(default_factory=list)
    """Concepts or categories to draw from ("add", "strings"); empty means all."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield config.count snippets, as evenly from the concepts as they allow, drawn and mixed by config.seed.

    A concept's first snippet is drawn before its others, and the first concept is `add`: where `add` is among
    the concepts, so is `def add(a, b): return a + b`. ValueError for an unknown concept, and for a count that
    is not positive or more than the concepts give.
    """
    from sprig.data.sources.snippets.concept import render

    generator = random.Random(config.seed)
    decks = []
    for concept in _chosen(config.concepts):
        first, *others = enumerate(concept.combinations())
        generator.shuffle(others)
        decks.append([(concept, *card) for card in (first, *others)])
    available = sum(map(len, decks))
    if not 1 <= config.count <= available:
        raise ValueError(f"data.count={config.count}: these concepts give 1 to {available} distinct snippets.")
    # One card from each deck in turn, so that no concept lags behind another before its deck is empty.
    dealt = [card for cards in zip_longest(*decks) for card in cards if card is not None][: config.count]
    generator.shuffle(dealt)
    for concept, number, combination in dealt:
        text, header = render(concept, *combination)
        yield Document(text, f"snippets:{concept.name}/{number}", text[:header], header, concept.name)


def state(config: Config) -> Iterator[str]:
    """Nothing but the settings: the library is part of the code."""
    return iter(())


def concept_of(name: str) -> "Concept":
    """The concept whose cases and reference a function is judged by; KeyError if there is none."""
    from sprig.data.sources.snippets.library import CONCEPTS

    return CONCEPTS[name]


def _chosen(names: list[str]) -> list["Concept"]:
    """The concepts that names call for, by their own name or their category's; all of them for no name."""
    from sprig.data.sources.snippets.library import CONCEPTS

    categories = {concept.category for concept in CONCEPTS.values()}
    for name in names:
        if name not in CONCEPTS and name not in categories:
            nearest = get_close_matches(name, [*CONCEPTS, *categories], n=1, cutoff=0.0)[0]
            raise ValueError(f"data.concepts: there is no concept or category {name!r}; did you mean {nearest!r}?")
    wanted = set(names) or categories
    return [concept for concept in CONCEPTS.values() if {concept.name, concept.category} & wanted]
