"""The two ways to show how far a run is: bars where there is a terminal to draw them on, plain lines elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from sprig.trace.console import figure

_LINE_EVERY = 5.0  # seconds from one plain line to the next, at least
_LINES_PER_EPOCH = 10  # at most, unless that leaves
_SILENCE = 60.0  # seconds without a line


@dataclass(frozen=True)
class Status:
    """How far training is."""

    epoch: str
    step: int
    total: int | None
    """Steps of the whole run; None where no one can know."""
    steps_per_epoch: float
    loss: float | None
    """Of the last step; None before the first."""
    tokens_per_second: float | None
    """Padding not counted; None until there is something to measure."""
    utilisation: float | None
    """The part of the machine's peak that this pace needs; None where the peak is not known."""
    memory: int | None
    """Bytes at most so far; None where nobody asked."""
    skipped: int
    """Steps left out because their gradients were not finite."""
    elapsed: float
    """Seconds since the start, validation included."""
    left: float | None
    """Seconds to the end, validation included; None until there is something to judge by."""

    @property
    def count(self) -> str:
        """The step, and of how many."""
        return _count(self.step, self.total)

    @property
    def figures(self) -> str:
        """Loss, pace, memory."""
        pace = "" if self.tokens_per_second is None else f"  {self.tokens_per_second:,.0f} tokens/s"
        use = "" if self.utilisation is None else f" ({self.utilisation:.0%} of peak)"
        memory = "" if self.memory is None else f"  {self.memory / 2**20:,.0f} MiB"
        skipped = f"  {self.skipped:,} steps skipped, not finite" if self.skipped else ""
        return f"loss {figure(self.loss)}{pace}{use}{memory}{skipped}"

    @property
    def remaining(self) -> str:
        """The time to the end."""
        return "" if self.left is None else f"{_clock(self.left)} left"


class Display(Protocol):
    """What shows the status."""

    def train(self, status: Status, due: bool) -> None:
        """Show training; due: the last step of an epoch or before a validation."""

    def validate(self, done: int, total: float) -> None:
        """Show a validation that goes on; total is infinite where no one can know."""

    def validated(self, line: str) -> None:
        """Show what it came to, for good."""

    def stop(self) -> None:
        """Leave the terminal as it was; showing something starts again."""


class PlainLines:
    """Prints a line now and then: for files, pipes and continuous integration."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", 0, 0.0)  # epoch, step and time of the last line

    def train(self, status: Status, due: bool) -> None:
        """Print a line if the last one is long enough ago, or if due and the epoch has none yet."""
        epoch, step, elapsed = self._last
        if due:
            wanted = status.epoch != epoch
        else:
            enough_steps = status.step - step >= status.steps_per_epoch / _LINES_PER_EPOCH
            wanted = status.elapsed - elapsed >= (_LINE_EVERY if enough_steps else _SILENCE)
        if not wanted:
            return
        self._last = (status.epoch, status.step, status.elapsed)
        time = f"{_clock(status.elapsed)} elapsed"
        parts = [status.epoch, f"step {status.count}", status.figures, time, status.remaining]
        self._console.print("  ".join(part for part in parts if part))

    def validate(self, done: int, total: float) -> None:
        """Nothing: the line after the validation is enough."""

    def validated(self, line: str) -> None:
        """Print the line."""
        self._console.print(line)

    def stop(self) -> None:
        """Nothing is open."""


class LiveBars:
    """A bar for the run and, under it, one for a validation; lines that are printed meanwhile stand above them."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock, self._start = console, clock, clock()
        self._bars: Progress | None = None

    def train(self, status: Status, due: bool) -> None:
        """Move the run's bar."""
        bars, run, _ = self._open()
        bars.update(
            run,
            description=f"{status.epoch:10}",  # as wide as the other bar's, which comes and goes
            completed=status.step,
            total=status.total,
            count=status.count,
            figures=status.figures,
            left=status.remaining,
        )
        bars.start()

    def validate(self, done: int, total: float) -> None:
        """Move the validation's bar."""
        bars, _, validation = self._open()
        known = int(total) if total < float("inf") else None
        if done == 1:
            bars.reset(validation)  # its clock
        bars.update(validation, completed=done, total=known, count=_count(done, known), visible=True)
        bars.start()
        if done == 1:
            bars.refresh()  # otherwise only the thread draws

    def validated(self, line: str) -> None:
        """Hide the validation's bar and print the line."""
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[1], visible=False)
        self._console.print(line)

    def stop(self) -> None:
        """Clear the bars and show the cursor."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _open(self) -> tuple[Progress, TaskID, TaskID]:
        """The bars and their two tasks; anew after a stop, as rich would take up the old place on the screen."""
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}", style="bold"),
                BarColumn(None, style="dim", complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
                TextColumn("{task.fields[count]}"),
                TextColumn("{task.fields[figures]}"),
                _Elapsed(),
                TextColumn("{task.fields[left]}", style="dim"),
                console=self._console,
                transient=True,
                expand=True,
                refresh_per_second=2,  # a thread draws: the clock goes on during a long step, at next to no cost
                get_time=self._clock,
            )
            fields: dict[str, Any] = {"count": "", "figures": "", "left": ""}
            self._bars.add_task("", total=None, **fields)
            self._bars.add_task("validation", visible=False, **fields)
            self._bars.tasks[0].start_time = self._start  # the run's, not this bar's
        run, validation = self._bars.task_ids
        return self._bars, run, validation


class _Elapsed(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The task's own time, which a finished bar does not stop."""
        return Text(_clock(task.elapsed or 0.0), "dim")


def _clock(seconds: float) -> str:
    """0:01:52"""
    return str(timedelta(seconds=int(seconds)))


def _count(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,}/{total:,}"
