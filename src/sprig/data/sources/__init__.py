"""Where code comes from. Each module here is one source, known by its name: to add one, add a file and a YAML.

A source module has `Config`, a dataclass that adds the source's own settings to DataConfig; `documents(config, skips)`,
which yields whole files in an order that depends on nothing but what it reads, and counts in skips whatever it leaves
out; and `state(config)`, which says in lines what its documents depend on besides the settings, without reading them:
equal lines, equal documents. It imports nothing slow at the top: `--help` reads every Config.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Protocol, cast

from sprig.data.config import DataConfig
from sprig.data.documents import Document, Skips


class Source(Protocol):
    """What a module of this package looks like from outside."""

    Config: type[DataConfig]

    def documents(self, config: Any, skips: Skips) -> Iterator[Document]:
        """Yield the source's documents; ValueError, in one or two lines, where there is nothing to read."""
        ...

    def state(self, config: Any) -> Iterator[str]:
        """Paths with their sizes and times, revisions, versions: what prepared data is kept under."""
        ...


def names() -> list[str]:
    """All sources, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Source:
    """The source of that name; ValueError if there is none."""
    if name not in names():
        raise ValueError(f"data.source={name!r} is no source. There are: {', '.join(names())}.")
    return cast(Source, importlib.import_module(f"{__name__}.{name}"))
