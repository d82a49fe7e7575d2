"""How far a run is, for the user who waits for it; it takes the place of Lightning's own bar."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import lightning as L
from rich.console import Console

from sprig.trace.console import figure, heading, open_console
from sprig.trace.metrics import shown
from sprig.training.callbacks.progress_display import Display, LiveBars, PlainLines, Status
from sprig.training.module import LanguageModelling
from sprig.training.throughput import Machine, peak_memory

_READ_EVERY = 0.5  # seconds: reading the loss waits for the device, so not every step does it
_WINDOW = 10.0  # seconds of training that the pace is measured over


class Progress(L.Callback):
    """Shows epoch, step, loss, pace and time; to be used with Trainer(enable_progress_bar=False)."""

    def __init__(
        self,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        machine: Machine | None = None,
    ) -> None:
        """What others print during the run should go through the same console: it then stands above the bars.

        With machine, the part of it that is made use of is shown beside the pace, and the most memory so far.
        """
        self._console, self._machine, self._clock = console, machine, clock
        self._display: Display | None = None  # only during training, and on one process only

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin."""
        assert isinstance(pl_module, LanguageModelling)
        if not trainer.is_global_zero:
            return
        console = self._console or open_console()
        self._start = self._next = self._clock()
        self._display = LiveBars(console, self._clock) if console.is_interactive else PlainLines(console)
        self._pace = _Pace(trainer.global_step, pl_module.tokens_seen)
        total = trainer.estimated_stepping_batches  # infinite or -1 where there is no end, or none is known
        self._total = int(total) if 0 < total < float("inf") else None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Let the clock of training run."""
        if self._display:
            self._pace.run(self._clock())

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the step, if it is time."""
        if self._display and self._clock() >= self._next:
            self._display.train(self._status(trainer, pl_module), due=False)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the step that is validated."""
        if self._display:
            self._rest(self._display, trainer, pl_module)
            self._validated = 0

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Show how far the validation is."""
        if self._display:
            self._validated += 1
            self._display.validate(self._validated, sum(trainer.num_val_batches))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show what the validation came to."""
        assert isinstance(pl_module, LanguageModelling)
        if self._display:
            metrics = trainer.callback_metrics
            figures = [f"{' '.join(heading(name).split())} {figure(metrics[name].item())}" for name in shown(metrics)]
            self._display.validated("  ".join([_epoch(trainer, pl_module), f"step {trainer.global_step:,}", *figures]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the last step; between epochs there are no bars, so that messages of others do not run into them."""
        if self._display:
            self._rest(self._display, trainer, pl_module)
            self._display.stop()

    def _rest(self, display: Display, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop the clock of training, and show the last step; a run that is gone on with may not have one yet."""
        assert isinstance(module, LanguageModelling)
        self._pace.rest(self._clock())
        if module.train_loss is not None:
            display.train(self._status(trainer, module), due=True)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Clear the terminal for what is said about it."""
        self._stop()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Clear the terminal."""
        self._stop()

    def _stop(self) -> None:
        if self._display:
            self._display.stop()
            self._display = None

    def _status(self, trainer: L.Trainer, module: L.LightningModule) -> Status:
        assert isinstance(module, LanguageModelling)
        # Reading the loss waits for the device, so it comes first: the time after it is that of steps done.
        loss = None if module.train_loss is None else module.train_loss.item()
        now = self._clock()
        self._next = now + _READ_EVERY
        self._pace.mark(now, trainer.global_step, module.tokens_seen)
        pace = self._pace.tokens_per_second
        return Status(
            epoch=_epoch(trainer, module),
            step=trainer.global_step,
            total=self._total,
            steps_per_epoch=trainer.num_training_batches / trainer.accumulate_grad_batches,
            loss=loss,
            tokens_per_second=pace,
            utilisation=self._machine.utilisation(pace) if self._machine and pace else None,
            memory=peak_memory(module.device.type) if self._machine else None,
            skipped=module.skipped_steps,
            elapsed=now - self._start,
            left=None if self._total is None else self._pace.left(self._total, now - self._start),
        )


class _Pace:
    """How fast training goes, by a clock that stands still while there is no training."""

    def __init__(self, step: int, tokens: int) -> None:
        self._first_step = step
        self._marks = deque([(0.0, step, tokens)])
        self._trained = 0.0
        self._since: float | None = None

    def run(self, now: float) -> None:
        """Start the clock if it stands."""
        if self._since is None:
            self._since = now

    def rest(self, now: float) -> None:
        """Stop the clock if it runs."""
        if self._since is not None:
            self._trained += now - self._since
            self._since = None

    def mark(self, now: float, step: int, tokens: int) -> None:
        """Note how far training is, and forget what is older than the window."""
        seconds = self._trained + (0.0 if self._since is None else now - self._since)
        self._marks.append((seconds, step, tokens))
        # At least one step stays in the window, however slow.
        while seconds - self._marks[1][0] >= _WINDOW and self._marks[1][1] < step:
            self._marks.popleft()

    @property
    def tokens_per_second(self) -> float | None:
        """Over the window."""
        seconds = self._marks[-1][0] - self._marks[0][0]
        return (self._marks[-1][2] - self._marks[0][2]) / seconds if seconds > 0 else None

    def left(self, total: int, elapsed: float) -> float | None:
        """Seconds to step total: training at the pace of the window, and validation as much a step as so far."""
        seconds, step, _ = self._marks[-1]
        steps = step - self._marks[0][1]
        if not steps:
            return None
        a_step = (seconds - self._marks[0][0]) / steps + (elapsed - seconds) / (step - self._first_step)
        return a_step * max(0, total - step)


def _epoch(trainer: L.Trainer, module: LanguageModelling) -> str:
    """Which epoch, and of how many where their number decides the end."""
    known = trainer.max_epochs is not None and trainer.max_epochs > 0 and trainer.max_steps == -1
    return f"epoch {module.epoch_number}" + (f"/{trainer.max_epochs}" if known else "")
