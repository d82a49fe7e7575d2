"""A row of the table: a malformed input, what becomes of it, and what that may cost."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sprig.data.config import DataConfig
from sprig.data.prepared import Prepared

Build = Callable[[Path], DataConfig]
Change = Callable[[pytest.MonkeyPatch, Path], None]


@dataclass(frozen=True)
class Refuse:
    """The run ends before anything is learnt; these words say why."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Skip:
    """Left out and counted under these reasons and no others."""

    counts: dict[str, int]


@dataclass(frozen=True)
class Normalise:
    """Made good: these texts come in besides the good ones; where all is prepared, prepared says what else is so."""

    texts: tuple[str, ...]
    prepared: Callable[[Prepared], bool] | None = None


@dataclass(frozen=True)
class Row:
    """A malformed input, what becomes of it, and what that may cost."""

    name: str
    build: Build
    outcome: Refuse | Skip | Normalise
    arrange: Change | None = None
    """What happens while the run goes on."""
    whole: bool = False
    """Whether all is prepared, with a cache, and not just collected."""
    good: list[str] | None = None
    """The documents that are there whatever is left out; None: those that stand around the bad one."""
    stranger: bool = False
    """Whether it is run by a user whom permissions hold for."""
    becomes_a_pipe: bool = False
    """Whether it was a regular file when it was found, so that only opening it shows what it is by now."""
    seconds: float = 10
    mebibytes: int = 100
    """Of memory that the process may take beyond what it had."""


def refuse(name: str, build: Build, *words: str, **how: Any) -> Row:
    return Row(name, build, Refuse(words), **how)


def skip(name: str, build: Build, *reasons: str, count: int = 1, **how: Any) -> Row:
    return Row(name, build, Skip(dict.fromkeys(reasons, count)), **how)


def normalise(
    name: str, build: Build, *texts: str, prepared: Callable[[Prepared], bool] | None = None, **how: Any
) -> Row:
    return Row(name, build, Normalise(texts, prepared), whole=prepared is not None, **how)
