"""A run's losses as a picture made of characters."""

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from sprig.trace.console import visible
from sprig.trace.records import Epoch

_SERIES = {"train/loss": ("o", "yellow"), "val/loss": ("*", "green")}
_HEIGHT = 8
_WIDTH = 60  # columns of the points: with the axis beside them they fit the narrowest of common terminals, 80


def loss_chart(epochs: Sequence[Epoch]) -> Text | None:
    """Losses upwards, epochs to the right; None where fewer than two epochs have finite ones.

    Of more than 60 epochs, evenly spaced ones are shown, the first and the last among them.
    """
    shown = _spread(epochs)
    points = {name: _finite_values(shown, name) for name in _SERIES}
    values = [value for series in points.values() for value in series.values()]
    if len({column for series in points.values() for column in series}) < 2:
        return None
    low, high = min(values), max(values)
    grid = [[(" ", "")] * len(shown) for _ in range(_HEIGHT)]
    for name, series in points.items():
        for column, value in series.items():
            height = (value - low) / (high - low) if high > low else 0.0
            grid[round((1 - height) * (_HEIGHT - 1))][column] = _SERIES[name]

    step = min(6, _WIDTH // len(shown))
    margin = max(len(f"{value:.3f}") for value in (low, high))
    chart = Text("Loss  ", no_wrap=True)
    chart.append("o train  ", "yellow").append("* val", "green").append(" (hides an o in its place)\n", "dim")
    for row, marks in enumerate(grid):
        label = f"{high:.3f}" if row == 0 else f"{low:.3f}" if row == _HEIGHT - 1 else ""
        chart.append(f"    {label:>{margin}} |", "dim")
        for mark, style in marks:
            chart.append(f"{mark:>{step}}", style)
        chart.append("\n")
    return chart.append(f"    {'epoch':>{margin}}  {_axis(shown, step)}", "dim")


def _spread(epochs: Sequence[Epoch]) -> list[Epoch]:
    count = min(len(epochs), _WIDTH)
    return [epochs[round(number * (len(epochs) - 1) / max(1, count - 1))] for number in range(count)]


def _finite_values(epochs: Sequence[Epoch], name: str) -> dict[int, float]:
    """The metric by position in epochs."""
    values = ((column, epoch.metrics.get(name)) for column, epoch in enumerate(epochs))
    return {column: value for column, value in values if value is not None and math.isfinite(value)}


def _axis(epochs: Sequence[Epoch], step: int) -> str:
    """Epoch numbers under their columns, as many as there is room for, counted back from the last."""
    every = math.ceil((len(str(epochs[-1].epoch)) + 1) / step)
    line = ""
    for column in range((len(epochs) - 1) % every, len(epochs), every):
        line += str(epochs[column].epoch).rjust((column + 1) * step - len(line))
    return line


def histogram(counts: Mapping[str, int]) -> list[Text]:
    """A line for each count, with a bar of up to 40 columns."""
    most = max(counts.values(), default=0)
    label = max(map(len, counts), default=0)
    digits = len(f"{most:,}")
    return [
        Text.assemble(f"{visible(name):>{label}} ", ("#" * -(-40 * count // most), "cyan"), f" {count:>{digits},}")
        for name, count in counts.items()
    ]
