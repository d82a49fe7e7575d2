"""One run, and what its stages share: where it is, what it runs on, its trace, and how it is kept."""

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sprig import checkpoint
from sprig.config import building, launching, ranks
from sprig.config.run_directory import check_output, claimed, keep_settings, new_trace, point_latest
from sprig.config.schema import TrainConfig
from sprig.data.config import AUTO
from sprig.data.documents import Document
from sprig.data.prepared import Prepared
from sprig.model.transformer import Transformer
from sprig.trace import terminal
from sprig.trace.console import open_console
from sprig.trace.records import Stage
from sprig.training import compiler
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.tracing import Tracing
from sprig.training.config import TrainerConfig
from sprig.training.metrics import Metrics
from sprig.training.module import LanguageModelling
from sprig.training.precision import resolve_precision
from sprig.training.processes import Processes


class Job:
    """A run from its settings on; its stages leave here what later ones need."""

    data: Prepared
    functions: list[Document]
    """The functions of the validation split to write from their headers."""
    model: Transformer
    module: LanguageModelling
    checkpoints: Checkpoints
    tracing: Tracing

    def __init__(self, settings: TrainConfig, directory: Path, start: checkpoint.Checkpoint | None) -> None:
        """start is the model to begin with, None for a fresh one; settings have its shape."""
        building.quiet_lightning()
        settings.trainer = launching.with_processes(settings.trainer)
        self.settings, self.start = settings, start
        self.device = building.device_of(settings.trainer.accelerator)
        self.precision = resolve_precision(settings.trainer.precision, self.device)
        packed = settings.data.layout == "packed"
        self.compile: bool | None = settings.trainer.compile
        missing = compiler.missing(self.device)
        if settings.trainer.compile == "auto":
            # Padded rows are trimmed: more is won, and shapes differ.
            self.compile = None if packed and not missing else False
        elif self.compile and missing:
            raise ValueError(f"trainer.compile=true needs {missing}, which is not found: install it, or set false.")
        self.accepted = settings.resume is None
        """Whether the run will go on: one that is refused keeps the trace it had."""
        self.batch_found = settings.data.batch_size == AUTO
        """Whether data.batch_size is a number that the run finds by itself, and .hydra has auto in its place."""
        self.started = time.perf_counter()
        # Lightning and the metrics refuse what they cannot work with; better now than after the data was read.
        try:
            self.strategy = building.build_trainer(settings.trainer, self.precision, [], [], directory).strategy
        except Exception as error:  # of many types, and none names a key
            usual = asdict(TrainerConfig())
            given = [f"trainer.{key}={value}" for key, value in asdict(settings.trainer).items() if value != usual[key]]
            raise ValueError(f"Lightning does not take {' with '.join(given) or 'the trainer'}: {error}") from error
        Metrics(settings.metrics.names, [])
        count = ranks.started()
        if settings.data.batch_size != AUTO and settings.data.batch_size < count:
            raise ValueError(
                f"data.batch_size={settings.data.batch_size} rows cannot be dealt out to {count} processes: "
                f"set data.batch_size={count} or more."
            )
        self.processes = Processes(ranks.rank(), count, self.strategy if count > 1 else None)
        self.directory = self.processes.share(directory)
        used = f"{self.device}, {self.precision}" + (f", {count} processes" if count > 1 else "")
        self.trace = new_trace(self.directory, settings.seed, used)
        self.console = open_console(quiet=bool(self.processes.rank), lasting=True)

    def claim(self, held: ExitStack) -> None:
        """Keep other runs out of the run directory until held is closed; Occupied if one is at work there."""
        with self.processes.first():
            if not self.processes.rank:
                if self.settings.resume is None:
                    check_output(self.directory)
                held.enter_context(claimed(self.directory))

    def save(self, directory: Path, transformer: Transformer, facts: dict[str, Any]) -> None:
        """Write a checkpoint directory of transformer, with facts and what it was trained on."""
        checkpoint.save(
            directory,
            transformer,
            self.data.tokenizer,
            facts
            | {
                "data": asdict(self.settings.data),
                "init_from": self.settings.model.init_from,
                "fingerprints": self.data.fingerprints,
                "training": {name: asdict(self.settings)[name] for name in ("seed", "optim", "trainer")},
                "versions": self.trace.run.versions,
            },
        )
        self.keep()

    def keep(self) -> None:
        """Note that there is something to load and go on with; a run that fails before changes nothing.

        Settings stay as Hydra has written them, but where the run went on with others, or found one by itself.
        """
        if self.processes.rank:
            return
        point_latest(Path(self.settings.output_dir), self.directory)
        if self.settings.resume or self.batch_found:
            keep_settings(self.directory, asdict(self.settings))

    def stopped(self) -> None:
        """Keep what a run that a signal has stopped is gone on with."""
        if self.processes.rank:
            return
        self.keep()
        self.trace.run.seconds = self.seconds()
        self.trace.save(self.directory / "trace.json")

    def seconds(self) -> float:
        """How long the run has taken, its earlier parts included, of which the trace has the seconds."""
        return (self.trace.run.seconds or 0.0) + time.perf_counter() - self.started

    def report(self, stage: Stage) -> None:
        """Note a stage in the trace and show it."""
        self.trace.stages.append(stage)
        if self.accepted and not self.processes.rank:
            self.trace.save(self.directory / "trace.json")
        self.console.print(terminal.draw_stage(stage, len(self.trace.stages)))
