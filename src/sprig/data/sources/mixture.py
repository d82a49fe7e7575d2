"""The source `mixture`: several of the other sources at once, in proportion to their weights.

Where it stands: it is all sources to those that come after it. Each part streams; at any time one document of one part
is in memory.
"""

import math
import random
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from sprig.data import sources
from sprig.data.config import DataConfig, from_plain
from sprig.data.documents import Document, Skips

_REFUSED = {
    "mixture": "a mixture is no part of a mixture: give its parts one by one",
    "snippets": "snippets are drawn one function at a time to be judged, not files of code: use data=snippets alone",
}

_REST = "rest of a part, beyond its share or cap"
_NAMING = ("git", "packages")


@dataclass
class Config(DataConfig):
    """What is mixed, and how much of each."""

    source: str = "mixture"
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Parts as {source: packages, weight: 2, cap: 1000, include: [click]}: weight (1) and cap (none) are the
    mixture's; all other keys are settings of the part's source."""
    max_bytes: int | None = None
    """Stop before the first text that makes it more than so many bytes. null: all of every part, or, where a part
    states its weight, as much as there is in these proportions: stop where one has no more, its cap apart."""


class _Part(NamedTuple):
    label: str
    """What it is called in groups and in what is left out: "packages", or "folder-2" for the second folder."""
    title: str
    """What messages start with."""
    source: sources.Source
    config: DataConfig
    weight: float
    cap: int | None

    @property
    def named(self) -> bool:
        """Whether its groups are names, of packages, repositories or a column, that mean the same in another part."""
        return self.config.source in _NAMING or getattr(self.config, "group_column", None) is not None


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield the documents of all parts, each part's in its own order, so that their bytes are as their weights.

    Each time, the next document comes from the part that is furthest behind: the one with the fewest bytes of text so
    far for its weight, and of several the first in an order drawn by config.seed. A part of cap n ends after its first
    n documents. A part that has ended is not repeated; the others go on in their proportions, or the mixture ends with
    it: see config.max_bytes. A group that has a name (a package, a repository, what data.group_column says) is one
    group in all parts, so that no two of them bring the same code to both sides of the split; files and rows are groups
    of their part. ValueError for parts that cannot be: "data.parts, part 2: ...".
    """
    parts = _parts(config)
    if config.max_bytes is not None and config.max_bytes < 1:
        raise ValueError(f"data.max_bytes={config.max_bytes} must be at least 1.")
    return _interleaved(parts, config, skips)


def state(config: Config) -> Iterator[str]:
    """What the parts' documents depend on, one part after the other."""
    for part in _parts(config):
        yield part.title
        yield from part.source.state(part.config)


def _interleaved(parts: list[_Part], config: Config, skips: Skips) -> Iterator[Document]:
    order = random.Random(config.seed).sample(range(len(parts)), len(parts))
    given = dict.fromkeys(order, 0)  # bytes of each part that goes on
    taken = dict.fromkeys(order, 0)  # documents
    total = 0
    in_proportion = config.max_bytes is None and any("weight" in part for part in config.parts)
    with ExitStack() as ending:
        streams = []
        for part in parts:
            own = Skips()  # a source asks its skips whether it has found anything at all
            ending.callback(_merge, own, part, skips)
            streams.append(_stream(part, own))
            ending.callback(streams[-1].close)
        unread = set(order)  # parts that may have more
        while given:
            number = min(given, key=lambda number: given[number] / parts[number].weight)
            document = next(streams[number], None)
            if document is None:
                unread.remove(number)
                if in_proportion:
                    break
                del given[number]
                continue
            size = len(document.text.encode())
            total += size
            if config.max_bytes is not None and total > config.max_bytes:
                skips.add(_REST, parts[number].label)
                unread.remove(number)
                break
            given[number] += size
            taken[number] += 1
            if taken[number] == parts[number].cap:
                del given[number]
            yield (
                document if parts[number].named else replace(document, group=f"{parts[number].label}/{document.group}")
            )
        for number in sorted(unread):
            if next(streams[number], None) is not None:
                skips.add(_REST, parts[number].label)


def _stream(part: _Part, skips: Skips) -> Generator[Document]:
    try:
        yield from part.source.documents(part.config, skips)
    except ValueError as error:
        raise ValueError(f"{part.title}: {error}") from None


def _merge(own: Skips, part: _Part, skips: Skips) -> None:
    for reason, count in own.counts.items():
        skips.add(reason, f"{part.label}/{own.examples[reason]}", count)


def _parts(config: Config) -> list[_Part]:
    if not config.parts:
        raise ValueError("data=mixture needs its parts: 'data.parts=[{source: stdlib}, {source: packages}]'")
    names = [part.get("source") if isinstance(part, dict) else None for part in config.parts]
    parts = []
    for number, (plain, name) in enumerate(zip(config.parts, names, strict=True), 1):
        title = f"data.parts, part {number}"
        try:
            label = f"{name}-{names[:number].count(name)}" if names.count(name) > 1 else f"{name}"
            parts.append(_part(plain, label, title, config.seed, several=len(names) > 1))
        except ValueError as error:
            raise ValueError(f"{title}: {error}") from None
    return parts


def _part(plain: Any, label: str, title: str, seed: int, *, several: bool) -> _Part:
    if not isinstance(plain, dict) or not isinstance(plain.get("source"), str):
        raise ValueError("a part is a mapping with a source in it: {source: folder, path: ~/code}")
    settings = dict(plain)
    weight, cap = settings.pop("weight", 1), settings.pop("cap", None)
    name = settings["source"]
    if name in _REFUSED:
        raise ValueError(_REFUSED[name])
    if type(weight) not in (int, float) or not 0 < weight < math.inf:
        raise ValueError(f"weight={weight!r} must be a number above 0.")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise ValueError(f"cap={cap!r} must be a whole number of documents, 1 or more.")
    source = sources.load(name)
    for common in fields(DataConfig):
        if common.name in settings and common.name != "source":
            raise ValueError(f"{common.name} is a setting of the whole mixture, not of one part of it.")
    if name == "git" and several:
        settings = {"by_repository": True} | settings
    return _Part(label, title, source, from_plain(source.Config, {**settings, "seed": seed}), weight, cap)
