"""A concept, the ways to write it, and how the text of a snippet is made of them.

A snippet is one concept, written in one way, under one of its names, with one choice of parameter names.
A name belongs to one way only: the header `def sum_up_loop(numbers):` says all there is to know of the body.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from textwrap import dedent, indent

INDENT = "    "
IDENTIFIER = re.compile(r"(?<![\w.'])[a-z_]\w*")  # what follows a dot or a quote is an attribute or text

STYLES = {
    "direct": "the shortest expression; the only style that a name does not mention",
    "stepwise": "names a value on the way to the result",
    "branch": "decides with an if statement",
    "inline": "decides with a conditional expression",
    "negated": "denies the opposite",
    "sorted": "sorts first",
    "sliced": "cuts a slice",
    "listed": "goes through a comprehension",
    "mapped": "goes through map or filter",
    "joined": "joins pieces of text",
    "formatted": "fills an f-string",
    "unpacked": "unpacks with a star or with several names at once",
    "called": "calls the method that an operator stands for",
    "loop": "a for loop",
    "while": "a while loop",
    "recursive": "calls itself within one expression",
    "guarded": "calls itself after an if statement has dealt with the smallest case",
}
"""The last word of a name says how the body is written, and says the same in every concept."""

Parameters = tuple[tuple[str, ...], ...]
"""Choices of parameter names; bodies are written with the first."""


@dataclass(frozen=True)
class Way:
    """One way to write a concept; body is written for names[0] and the first choice of parameter names."""

    names: tuple[str, ...]
    body: str


@dataclass(frozen=True)
class Concept:
    """A function worth learning: how it can be written, and what it has to do."""

    name: str
    category: str
    parameters: Parameters
    ways: tuple[Way, ...]
    reference: Callable[..., object]
    """Does right what every way should do, changes to its arguments included."""
    cases: tuple[tuple[object, ...], ...]
    """Positional arguments to judge a function by; copy them deeply before a call, which may change them."""

    def combinations(self) -> Iterator[tuple[Way, str, tuple[str, ...]]]:
        """Every way, name and choice of parameters to render this concept with, always in the same order."""
        for way in self.ways:
            for name, parameters in product(way.names, self.parameters):
                yield way, name, parameters


def define(
    category: str,
    synonyms: str,
    parameters: Parameters,
    *,
    reference: Callable[..., object],
    cases: tuple[tuple[object, ...], ...],
    **bodies: str,
) -> Concept:
    """A concept whose ways are named by each of its synonyms and the way's style.

    The first synonym is the concept's own name. bodies are given by style, `while_` standing for the keyword.
    """
    ways = []
    for style, body in bodies.items():
        style = style.rstrip("_")
        assert style in STYLES, style
        suffix = "" if style == "direct" else f"_{style}"
        ways.append(Way(tuple(word + suffix for word in synonyms.split()), dedent(body).strip()))
    return Concept(synonyms.split()[0], category, parameters, tuple(ways), reference, cases)


def render(concept: Concept, way: Way, name: str, parameters: tuple[str, ...]) -> tuple[str, int]:
    """The snippet's text, and the length of its header in characters, colon included.

    A body of one line stands on the header's line, a longer one is indented below it.
    """
    header = f"def {name}({', '.join(parameters)}):"
    renamed = dict(zip(concept.parameters[0], parameters, strict=True)) | {way.names[0]: name}
    body = IDENTIFIER.sub(lambda match: renamed.get(match[0], match[0]), way.body)
    text = f"{header}\n{indent(body, INDENT)}" if "\n" in body else f"{header} {body}"
    return text, len(header)
