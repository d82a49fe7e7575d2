"""Stages 4 and 5: the model, the rows, the Trainer and its callbacks put together, and trained."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch

from sprig.checkpoint import states
from sprig.config import building, resuming, stages
from sprig.config.job import Job
from sprig.config.resources import memory_explained
from sprig.data.datamodule import RowsDataModule
from sprig.evaluation.functions import score, write_functions
from sprig.model.transformer import Transformer
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.compilation import Compilation
from sprig.training.callbacks.early_stopping import EarlyStopping
from sprig.training.callbacks.garbage_collection import GarbageCollection
from sprig.training.callbacks.held_out import HeldOutFunctions
from sprig.training.callbacks.interruption import Interruption
from sprig.training.callbacks.observing import Observing
from sprig.training.callbacks.progress import Progress
from sprig.training.callbacks.tracing import Tracing
from sprig.training.callbacks.wall_clock import WallClock
from sprig.training.module import LanguageModelling
from sprig.training.precision import fast_bfloat16
from sprig.training.throughput import Machine, matmul_peak, training_flops


def fit(job: Job) -> None:
    """Stages 4 and 5."""
    settings, data = job.settings, job.data
    job.module = module_of(job, job.model)
    job.trace.training.batch_size = settings.data.batch_size
    by_heart = bool(settings.trainer.overfit_batches)  # a batch that has to be the same one in each epoch
    rows = RowsDataModule(
        data.train.rows(0, 0) if by_heart else data.train,
        data.val,
        settings.data.batch_size,
        seed=None if by_heart else settings.seed,
        trim=_trims(job),
        document_mask=settings.data.document_mask,
        rank=job.processes.rank,
        processes=job.processes.count,
    )
    dtype = torch.bfloat16 if "bf16" in job.precision else torch.float16 if "16" in job.precision else torch.float32
    machine = Machine(
        matmul_peak(job.device, dtype) * job.processes.count,
        training_flops(settings.model, settings.data.seq_len),
    )
    callbacks = _callbacks(job, machine)
    state: Path | None = None
    last_step: int | None = None
    if settings.resume:
        with job.processes.first():
            if not job.processes.rank:
                state = resuming.state_to_go_on_from(job.checkpoints)
        state = job.processes.share(state)
        assert state is not None
        last_step = states.step_of(state)
        job.console.print(f"Going on with {job.directory}, after step {last_step:,}")
        job.accepted = True
    loggers = []
    if not job.processes.rank:
        loggers = building.build_loggers(settings.logger, job.directory, settings.name, asdict(settings), last_step)
    trainer = building.build_trainer(
        settings.trainer,
        job.precision,
        loggers,
        callbacks,
        job.directory,
        reload_dataloaders_every_n_epochs=int(settings.data.fim_rate > 0),
    )
    ends = resuming.ends_explained(trainer, job.directory, job.stopped)
    with ends, memory_explained(settings, job.precision):
        trainer.fit(
            job.module,
            datamodule=rows,
            ckpt_path=state,
            weights_only=True,
        )
        if not trainer.global_step:
            raise ValueError("Not one step was trained: see trainer.max_time and trainer.max_steps.")
        if trainer.global_step == last_step:
            job.console.print("This run was finished: to train more, raise trainer.max_epochs, max_steps or max_time")
        if not job.trace.epochs or job.trace.epochs[-1].step < trainer.global_step:
            trainer.validate(job.module, datamodule=rows, verbose=False)  # a run never ends unmeasured and unsaved
    job.model = job.module.whole_transformer()
    job.processes.leave()
    if job.module.diverged:
        raise ValueError(f"{job.module.diverged} What it was before is saved; lower optim.lr and start again.")
    if job.processes.rank:
        return
    validating = job.tracing.validation_seconds
    training = job.tracing.seconds - validating
    job.report(stages.training_stage(data, job.model, job.trace.epochs, trainer.global_step, training))
    if job.trace.epochs:
        last = job.trace.epochs[-1]
        job.report(stages.validation_stage(data, job.model, last.metrics, validating))


def _trims(job: Job) -> bool:
    """Whether rows of like length are batched together and cut to the longest of them, which decides the batches."""
    return job.settings.data.layout == "padded" and not job.compile


def module_of(job: Job, transformer: Transformer) -> LanguageModelling:
    """What trains transformer as the job's settings say."""
    transformer.model.activation_checkpointing = job.settings.trainer.activation_checkpointing
    return LanguageModelling(
        transformer,
        job.settings.optim,
        job.settings.metrics.names,
        job.data.tokenizer.token_bytes,
        processes=job.processes,
        optimizer_dtype=torch.bfloat16 if fast_bfloat16(job.device) else torch.float32,
    )


def _callbacks(job: Job, machine: Machine) -> list[L.Callback]:
    chosen, data = job.settings.callbacks, job.data
    identity: dict[str, Any] = data.identity | {
        "data.batch_size": job.settings.data.batch_size,
        "data.document_mask": job.settings.data.document_mask,
        **({} if data.config.layout == "packed" else {"trainer.compile": not _trims(job)}),
        "seed": job.settings.seed,
        "model": asdict(job.settings.model.shape),
        "optim": asdict(job.settings.optim),
        "callbacks.monitor": (chosen.monitor, chosen.mode),
    }
    job.checkpoints = Checkpoints(
        job.directory / "checkpoints",
        job.save,
        states.state_path,
        chosen.monitor,
        chosen.mode,
        identity,
        job.processes,
        every_minutes=chosen.save_every_minutes,
        every_steps=chosen.save_every_steps,
    )
    job.tracing = Tracing(job.trace, job.directory / "trace.json", job.seconds)
    callbacks: list[L.Callback] = [
        job.tracing,
        # Before what saves, so that they have counted the step.
        Observing(job.trace.training, machine, job.device, job.processes),
        Compilation(job.compile, job.device, job.trace.training, job.processes),
        job.checkpoints,
        Interruption(job.checkpoints, job.processes),
        GarbageCollection(),
    ]
    if job.functions:
        callbacks.insert(
            0, HeldOutFunctions(lambda model: score(write_functions(model, data.tokenizer, job.functions)))
        )
    if job.settings.trainer.max_time is not None:
        callbacks.append(WallClock(job.settings.trainer.max_time, job.processes))
    if chosen.progress:
        callbacks.append(Progress(job.console, machine=machine))
    if chosen.early_stopping_patience is not None:
        callbacks.insert(  # first, so that what is saved after a validation has counted it
            0,
            EarlyStopping(chosen.monitor, chosen.mode, chosen.early_stopping_patience),
        )
    return callbacks
