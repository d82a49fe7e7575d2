"""Single values of a stranger's JSON, each checked for type and range before it sizes anything; null is absent."""

from collections.abc import Mapping
from typing import Any


def integer(values: Mapping[str, Any], name: str, largest: int, default: int | None = None) -> int:
    """An integer from 1 to largest; ValueError for anything else."""
    value = values.get(name)
    value = default if value is None else value
    if type(value) is not int or not 1 <= value <= largest:  # type(), since true is an int to isinstance
        raise ValueError(f"{name} is {value!r:.80}: it must be an integer from 1 to {largest}.")
    return value


def number(
    values: Mapping[str, Any], name: str, default: float | None, smallest: float = 0.0, largest: float = 1.0
) -> float:
    """A number from smallest to largest; ValueError for anything else."""
    value: Any = values.get(name)
    value = default if value is None else value
    if type(value) not in (int, float) or not smallest <= value <= largest:
        raise ValueError(f"{name} is {value!r:.80}: it must be a number from {smallest:g} to {largest:g}.")
    return float(value)


def flag(values: Mapping[str, Any], name: str) -> bool:
    """true or false, false where it is absent; ValueError for anything else."""
    value = values.get(name)
    if value is not None and type(value) is not bool:
        raise ValueError(f"{name} is {value!r:.80}: it must be true or false.")
    return bool(value)
