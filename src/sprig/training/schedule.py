"""The learning rate over a run: warm-up, stable, linear warm-down (Hägele et al. 2024, arXiv:2405.18392).

A run ends after so many steps or by the clock, whichever comes first; the rate has fallen to almost nothing by then.
"""

from collections.abc import Callable, Sequence
from typing import Any

_FIRST = 1e-3  # progress of a first step that only the clock could tell: a rate of zero would waste it


def learning_rate_factor(progress: float, warmup: float, warmdown: float) -> float:
    """What the peak learning rate is multiplied by, in (0, 1], when so much of the run is over: progress in (0, 1)."""
    rising = progress / warmup if warmup else 1.0
    falling = (1 - progress) / warmdown if warmdown else 1.0
    return min(1.0, rising, falling)


class Progress:
    """How much of a run is over, in (0, 1), by its steps or by its clock: whichever is further."""

    def __init__(
        self,
        total_steps: float,
        clock: Callable[[], tuple[float, float]] | None = None,
        agree: Callable[[float], float] = float,
        limits: Sequence[Any] = (),
    ) -> None:
        """total_steps may be infinite; clock gives the seconds so far and those that the whole run may take.

        limits are the settings, in JSON's types, that decide how many steps there are.

        The clock counts from the end of the first step: that one may have compiled the model, and the warm-up is of
        no use if the learning rate jumps over it. Several processes agree on what their clocks say, once a step.
        """
        self.total, self._clock, self._agree, self._limits = total_steps, clock, agree, list(limits)
        self._known = (-1, 0.0)  # of the last step that was asked for
        self.first_seconds: float | None = None
        """What the clock showed after the first step; None before that."""

    def __call__(self, step: int) -> float:
        """Before a step, 0-based; later steps than the last keep its value."""
        if step != self._known[0]:
            self._known = step, self._progress(step)
        return self._known[1]

    def state(self) -> dict[str, Any]:
        """What a run that goes on has to know."""
        return {"first_seconds": self.first_seconds, "total_steps": self.total, "ends": self._limits}

    def go_on(self, state: dict[str, Any]) -> None:
        """Be as it was, but for a number of steps that other settings decide now."""
        self.first_seconds = state["first_seconds"]
        # Epochs differ in length where documents are turned: another one would promise another number of steps.
        if state.get("ends") == self._limits:
            self.total = state["total_steps"]

    def _progress(self, step: int) -> float:
        by_steps = min(step + 1, self.total) / (self.total + 1) if self.total < float("inf") else 0.0
        return min(max(by_steps, self._by_clock(step), _FIRST), 1 - _FIRST)

    def _by_clock(self, step: int) -> float:
        if self._clock is None or step == 0:
            return 0.0
        seconds, limit = self._clock()
        if self.first_seconds is None:
            self.first_seconds = seconds
        return self._agree((seconds - self.first_seconds) / max(limit - self.first_seconds, 1e-9))
