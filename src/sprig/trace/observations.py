"""What a run's figures say after each validation, in a few words, drawn by rule from the numbers alone."""

import math
from collections.abc import Sequence

from sprig.trace.records import Epoch


def observe(epochs: Sequence[Epoch]) -> str:
    """The observation of the last of epochs, from train/loss and val/loss."""
    *earlier, last = epochs
    for name in ("train/loss", "val/loss"):
        if not math.isfinite(last.metrics.get(name, 0.0)):
            return f"{name} is {last.metrics[name]}: training has diverged"
    loss = _finite(last, "val/loss")
    if loss is None:
        return "not validated"
    best = best_epoch(earlier)
    if best is None:
        return f"first figures: {loss:.3f} to beat"
    gain = best.metrics["val/loss"] - loss
    if gain > 0:
        return f"best so far: val loss -{gain:.3f}" if gain >= 0.001 else "best so far by under 0.001"
    if _change("train/loss", earlier, last) < 0 < _change("val/loss", earlier, last):
        return "overfitting: train falls while val rises"
    return f"no gain for {_distance(best, epochs)}"


def best_epoch(epochs: Sequence[Epoch], monitor: str = "val/loss", mode: str = "min") -> Epoch | None:
    """The epoch with the lowest (mode "min") or highest ("max") value of monitor, the first among equals.

    None where no epoch has a finite one.
    """
    measured = [epoch for epoch in epochs if _finite(epoch, monitor) is not None]
    choose = min if mode == "min" else max
    return choose(measured, key=lambda epoch: epoch.metrics[monitor], default=None)


def validated_within_epochs(epochs: Sequence[Epoch]) -> bool:
    """Whether some epoch was validated more than once, so that only steps tell its figures apart."""
    return len({epoch.epoch for epoch in epochs}) < len(epochs)


def _finite(epoch: Epoch, name: str) -> float | None:
    value = epoch.metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


def _change(name: str, earlier: Sequence[Epoch], last: Epoch) -> float:
    """From the latest earlier epoch that has a finite value; nan where there is none."""
    values = [value for epoch in earlier if (value := _finite(epoch, name)) is not None]
    value = _finite(last, name)
    return value - values[-1] if values and value is not None else math.nan


def _distance(best: Epoch, epochs: Sequence[Epoch]) -> str:
    """From best to the last of epochs."""
    last = epochs[-1]
    if validated_within_epochs(epochs):
        return f"{last.step - best.step:,} steps"
    return f"{last.epoch - best.epoch} epoch{'s' if last.epoch - best.epoch > 1 else ''}"
