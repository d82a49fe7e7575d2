"""The main job: raw code in, a trained model out, code generated from it, through the six stages of the trace."""

import shlex
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console

from sprig import checkpoint
from sprig.checkpoint import states
from sprig.config import building, launching, multirun, resuming, stages
from sprig.config.checks import check_monitor, check_output, check_train
from sprig.config.fine_tuning import settings_from, start_of
from sprig.config.resources import check_space, memory_explained
from sprig.config.run_directory import claimed, keep_settings, new_trace, point_latest
from sprig.config.schema import TrainConfig
from sprig.data.datamodule import RowsDataModule
from sprig.data.preparation import prepare
from sprig.evaluation.functions import score, with_headers, write_functions
from sprig.generation.config import SamplingConfig
from sprig.model.transformer import Transformer
from sprig.trace import terminal
from sprig.trace.console import open_console
from sprig.trace.records import Stage
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.compilation import Compilation
from sprig.training.callbacks.held_out import HeldOutFunctions
from sprig.training.callbacks.interruption import Interruption
from sprig.training.callbacks.observing import Observing
from sprig.training.callbacks.progress import Progress
from sprig.training.callbacks.tracing import Tracing
from sprig.training.config import TrainerConfig
from sprig.training.metrics import Metrics
from sprig.training.module import LanguageModelling
from sprig.training.precision import fast_bfloat16, resolve_precision
from sprig.training.processes import Processes
from sprig.training.throughput import Machine, matmul_peak, training_flops


def train(settings: TrainConfig, directory: Path) -> float | None:
    """Run the main job in directory; the best value of callbacks.monitor, None if it was never measured.

    ValueError, in one or two lines, for settings or data that cannot be trained with; Interrupted after Ctrl-C.
    """
    start = start_of(settings, directory)
    if start is not None:
        settings = settings_from(start, settings)
    check_train(settings)
    launching.follow_launcher()
    failed = True
    with ExitStack() as held:
        try:
            job = _Job(settings, directory, start)
            with job.processes.together():
                job.claim(held)
                job.prepare()
                job.fit()
            if not job.processes.rank:  # the others are no longer needed
                job.generate()
                job.finish()
            failed = False
            return job.checkpoints.best
        finally:
            building.finish_wandb(failed)


class _Job:
    """One run and what its stages share."""

    def __init__(self, settings: TrainConfig, directory: Path, start: checkpoint.Checkpoint | None) -> None:
        """start is the model to begin with, None for a fresh one; settings have its shape."""
        building.quiet_lightning()
        settings.trainer = launching.with_processes(settings.trainer)
        self.settings, self.start = settings, start
        self.device = building.device_of(settings.trainer.accelerator)
        self.precision = resolve_precision(settings.trainer.precision, self.device)
        packed = settings.data.layout == "packed"
        self.compile: bool | None = settings.trainer.compile
        if settings.trainer.compile == "auto":
            self.compile = None if packed else False  # padded rows are trimmed: more is won, and shapes differ
        self.accepted = settings.resume is None
        """Whether the run will go on: one that is refused keeps the trace it had."""
        self.started = time.perf_counter()
        # Lightning and the metrics refuse what they cannot work with; better now than after the data was read.
        try:
            strategy = building.build_trainer(settings.trainer, self.precision, [], [], directory).strategy
        except Exception as error:  # of many types, and none names a key
            usual = asdict(TrainerConfig())
            given = [f"trainer.{key}={value}" for key, value in asdict(settings.trainer).items() if value != usual[key]]
            raise ValueError(f"Lightning does not take {' with '.join(given) or 'the trainer'}: {error}") from error
        Metrics(settings.metrics.names, [])
        count = launching.started()
        if settings.data.batch_size < count:
            raise ValueError(
                f"data.batch_size={settings.data.batch_size} rows cannot be dealt out to {count} processes: "
                f"set data.batch_size={count} or more."
            )
        self.processes = Processes(launching.rank(), count, strategy if count > 1 else None)
        self.directory = self.processes.share(directory)
        used = f"{self.device}, {self.precision}" + (f", {count} processes" if count > 1 else "")
        self.trace = new_trace(self.directory, settings.seed, used)
        self.console = Console(quiet=True) if self.processes.rank else open_console()

    def claim(self, held: ExitStack) -> None:
        """Keep other runs out of the run directory until held is closed; ValueError if one is at work there."""
        with self.processes.first():
            if not self.processes.rank:
                if self.settings.resume is None:
                    check_output(self.directory)
                held.enter_context(claimed(self.directory))

    def prepare(self) -> None:
        """Stages 1 to 3, and the model to train; rank 0 prepares the data and the others take it from the cache."""
        with self.processes.first():
            self._prepare()
        # Whether the end was measured has to be the same in all.
        self.trace.epochs = self.processes.share(self.trace.epochs)

    def _prepare(self) -> None:
        given = None if self.start is None else self.start.tokenizer
        self.data = prepare(self.settings.data, Path(self.settings.cache_dir), given)
        self.trace.data = self.data.funnel
        if self.settings.resume and not self.processes.rank:
            resuming.take_up_trace(self.trace, self.directory / "trace.json")
        self.functions = with_headers(self.data.val_documents, self.settings.callbacks.held_out_headers)
        headers = any(document.header for document in self.data.val_documents)
        check_monitor(self.settings, functions=bool(self.functions), headers=headers)
        for prompt in self.settings.prompts:  # now and not when the training is done
            if not 0 < len(self.data.tokenizer.encode(prompt)) < self.settings.model.max_position_embeddings:
                raise ValueError(
                    f"prompts: {prompt!r} is empty or longer than the model's context of "
                    f"{self.settings.model.max_position_embeddings} tokens. Change it, or set prompts=[]."
                )
        for stage in self.data.stages:
            self._report(stage)
        L.seed_everything(self.settings.seed, verbose=False)
        shape = self.settings.model.shape
        with memory_explained(self.settings, self.precision):
            self.model = Transformer(shape) if self.start is None else self.start.transformer
        if self.processes.rank:  # what each drops out is its own
            torch.manual_seed(self.settings.seed + self.processes.rank)
        else:
            check_space(self.directory, self.model.num_parameters)
        self.trace.model = {
            "parameters": self.model.num_parameters,
            **asdict(shape),
            "layers": stages.weights(self.model),
        }

    def fit(self) -> None:
        """Stages 4 and 5."""
        settings, data = self.settings, self.data
        self.module = LanguageModelling(
            self.model,
            settings.optim,
            settings.metrics.names,
            data.tokenizer.token_bytes,
            processes=self.processes,
            optimizer_dtype=torch.bfloat16 if fast_bfloat16(self.device) else torch.float32,
        )
        rows = RowsDataModule(
            data.train_rows if settings.data.fim_rate else data.train_rows(0),
            data.val,
            settings.data.batch_size,
            # The batch to be learnt by heart has to be the same one in each epoch.
            seed=None if settings.trainer.overfit_batches else settings.seed,
            trim=settings.data.layout == "padded" and not self.compile,
            document_mask=settings.data.document_mask,
            rank=self.processes.rank,
            processes=self.processes.count,
        )
        dtype = (
            torch.bfloat16 if "bf16" in self.precision else torch.float16 if "16" in self.precision else torch.float32
        )
        self.machine = Machine(
            matmul_peak(self.device, dtype) * self.processes.count,
            training_flops(settings.model, settings.data.seq_len),
        )
        callbacks = self._callbacks()
        state: Path | None = None
        last_step: int | None = None
        if settings.resume:
            with self.processes.first():
                if not self.processes.rank:
                    state = resuming.state_to_go_on_from(self.checkpoints)
            state = self.processes.share(state)
            assert state is not None
            last_step = states.step_of(state)
            self.accepted = True
        loggers = []
        if not self.processes.rank:
            loggers = building.build_loggers(
                settings.logger, self.directory, settings.name, asdict(settings), last_step
            )
        trainer = building.build_trainer(
            settings.trainer,
            self.precision,
            loggers,
            callbacks,
            self.directory,
            reload_dataloaders_every_n_epochs=int(settings.data.fim_rate > 0),
        )
        ends = resuming.ends_explained(trainer, self.directory, self._stopped)
        with ends, memory_explained(settings, self.precision):
            trainer.fit(
                self.module,
                datamodule=rows,
                ckpt_path=state,
                weights_only=True,
            )
            if not trainer.global_step:
                raise ValueError("Not one step was trained: see trainer.max_time and trainer.max_steps.")
            if not self.trace.epochs or self.trace.epochs[-1].step < trainer.global_step:
                trainer.validate(self.module, datamodule=rows, verbose=False)  # a run never ends unmeasured and unsaved
        self.model = self.module.whole_transformer()
        self.processes.leave()
        if self.module.diverged:
            raise ValueError(f"{self.module.diverged} What it was before is saved; lower optim.lr and start again.")
        if self.processes.rank:
            return
        validating = self.tracing.validation_seconds
        training = self.tracing.seconds - validating
        self._report(stages.training_stage(data, self.model, self.trace.epochs, trainer.global_step, training))
        if self.trace.epochs:
            last = self.trace.epochs[-1]
            self._report(stages.validation_stage(data, self.model, last.metrics, validating))

    def generate(self) -> None:
        """Stage 6, with the best checkpoint's weights where there is one: those that `sample.py` will use."""
        if (self.directory / "checkpoints" / "best").is_dir():
            self.model = checkpoint.load(self.directory / "checkpoints" / "best").transformer
        stage, self.trace.generation = stages.generation_stage(
            self.data, self.model, self.settings.prompts, SamplingConfig(max_new_tokens=64)
        )
        self._report(stage)
        for result in self.trace.generation:
            seen = stages.seen_in_training(self.data, result.prompt)
            self.console.print(terminal.draw_completion(result, "seen in training" if seen else "held out"))

    def finish(self) -> None:
        """The end of the trace, the table and the next commands."""
        self._stop_clock()
        best_epoch = next((e for e in self.trace.epochs if e.step == self.checkpoints.best_step), None)
        metrics = best_epoch.metrics if best_epoch else {}
        self.trace.final = metrics | {
            "best": {
                "metric": self.settings.callbacks.monitor,
                "value": self.checkpoints.best,
                "step": self.checkpoints.best_step,
            },
            "tokens": self.module.tokens_seen,
            "training_seconds": self.tracing.seconds,
        }
        self.trace.save(self.directory / "trace.json")
        self.console.print(terminal.draw_training_trace(self.trace.epochs))
        watched = self.settings.callbacks
        self.console.print(
            terminal.draw_final(
                self.trace,
                str(self.directory / "checkpoints" / ("last" if self.checkpoints.best is None else "best")),
                self._next_commands(),
                watched.monitor,
                watched.mode,
            )
        )
        multirun.report(metrics, watched.monitor, watched.mode)

    def _next_commands(self) -> list[str]:
        output_dir = self.settings.output_dir
        which = "ckpt=last" if output_dir == "outputs" else f"ckpt=last output_dir={shlex.quote(output_dir)}"
        prompt = shlex.quote(self.trace.generation[-1].prompt)
        return [f"python src/sample.py {which} prompt={prompt}", f"python src/evaluate.py {which}"]

    def _callbacks(self) -> list[L.Callback]:
        chosen, data = self.settings.callbacks, self.data
        identity: dict[str, Any] = data.identity | {
            "data.batch_size": self.settings.data.batch_size,
            "seed": self.settings.seed,
            "model": asdict(self.settings.model.shape),
            "optim": asdict(self.settings.optim),
            "callbacks.monitor": (chosen.monitor, chosen.mode),
        }
        self.checkpoints = Checkpoints(
            self.directory / "checkpoints",
            self._save,
            states.state_path,
            chosen.monitor,
            chosen.mode,
            identity,
            self.processes,
            every_minutes=chosen.save_every_minutes,
            every_steps=chosen.save_every_steps,
        )
        self.tracing = Tracing(self.trace, self.directory / "trace.json")
        callbacks: list[L.Callback] = [
            self.tracing,
            self.checkpoints,
            Interruption(self.checkpoints, self.processes),
            Compilation(self.compile, self.device, self.trace.training, self.processes),
            Observing(self.trace.training, self.machine, self.device),
        ]
        if self.functions:
            callbacks.insert(
                0, HeldOutFunctions(lambda model: score(write_functions(model, data.tokenizer, self.functions)))
            )
        if chosen.progress:
            callbacks.append(Progress(self.console, machine=self.machine))
        if chosen.early_stopping_patience is not None:
            callbacks.insert(  # first, so that what is saved after a validation has counted it
                0,
                L.pytorch.callbacks.EarlyStopping(
                    chosen.monitor,
                    mode=chosen.mode,
                    patience=chosen.early_stopping_patience,
                    verbose=False,
                    check_on_train_epoch_end=False,  # where a run goes on there, nothing is measured yet
                ),
            )
        return callbacks

    def _save(self, directory: Path, transformer: Transformer, facts: dict[str, Any]) -> None:
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
        self._keep()

    def _keep(self) -> None:
        """Note that there is something to load and go on with; a run that fails before changes nothing."""
        if self.processes.rank:
            return
        point_latest(Path(self.settings.output_dir), self.directory)
        if self.settings.resume:
            keep_settings(self.directory, asdict(self.settings))

    def _stopped(self) -> None:
        """Keep what a run that a signal has stopped is gone on with."""
        if self.processes.rank:
            return
        self._keep()
        self._stop_clock()
        self.trace.save(self.directory / "trace.json")

    def _stop_clock(self) -> None:
        self.trace.run.seconds = (self.trace.run.seconds or 0.0) + time.perf_counter() - self.started

    def _report(self, stage: Stage) -> None:
        self.trace.stages.append(stage)
        if self.accepted and not self.processes.rank:
            self.trace.save(self.directory / "trace.json")
        self.console.print(terminal.draw_stage(stage, len(self.trace.stages)))
