"""The main job: raw code in, a trained model out, code generated from it, through the six stages of the trace."""

import shlex
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import lightning as L

from sprig import checkpoint
from sprig.config import batch_size, building, children, multirun, ranks, resuming, stages
from sprig.config.checks import check_monitor, check_train
from sprig.config.fine_tuning import settings_from, start_of
from sprig.config.fitting import fit
from sprig.config.job import Job
from sprig.config.resources import check_space, memory_explained
from sprig.config.schema import TrainConfig
from sprig.config.vocabulary import settled
from sprig.data.config import AUTO
from sprig.data.preparation import prepare
from sprig.evaluation.functions import with_headers
from sprig.generation.config import SamplingConfig
from sprig.model.transformer import Transformer
from sprig.trace import terminal


def train(settings: TrainConfig, directory: Path) -> float | None:
    """Run the main job in directory; the best value of callbacks.monitor, None if it was never measured.

    ValueError, in one or two lines, for settings or data that cannot be trained with; Interrupted after Ctrl-C.
    """
    start = start_of(settings, directory)
    if start is not None:
        settings = settings_from(start, settings)
    settings = replace(settings, data=settled(settings.data, settings.model))
    check_train(settings)
    if settings.resume and not ranks.rank():
        resuming.tell_changes(settings, directory)
    children.follow_starter()
    failed = True
    with ExitStack() as held:
        try:
            job = Job(settings, directory, start)
            with job.processes.together():
                job.claim(held)
                _prepare_in_turn(job)
                batch_size.settle(job)
                fit(job)
            if not job.processes.rank:  # the others are no longer needed
                _generate(job)
                _finish(job)
            failed = False
            return job.checkpoints.best
        finally:
            building.finish_wandb(failed)


def _prepare_in_turn(job: Job) -> None:
    """Stages 1 to 3, and the model to train; rank 0 prepares the data and the others take it from the cache."""
    with job.processes.first():
        _prepare(job)
    if any(identity != job.data.identity for identity in job.processes.gather(job.data.identity)):
        raise ValueError(
            "The processes have not come to the same data: the source changed meanwhile, or they have other versions "
            "of Python or of packages.\nPrepare it once with src/prepare.py, and train on data=prepared data.path=..."
        )
    # Whether the end was measured has to be the same in all.
    job.trace.epochs = job.processes.share(job.trace.epochs)


def _prepare(job: Job) -> None:
    given = None if job.start is None else job.start.tokenizer
    job.data = prepare(job.settings.data, Path(job.settings.cache_dir), given)
    job.trace.data = job.data.funnel
    _check_rows(sum(job.data.train.counts(0)), job.settings.data.batch_size)
    if job.settings.resume and not job.processes.rank:
        resuming.take_up_trace(job.trace, job.directory / "trace.json")
    job.functions = with_headers(job.data.val_documents, job.settings.callbacks.held_out_headers)
    headers = any(document.header for document in islice(job.data.val_documents, 100))  # all have one, or none
    check_monitor(job.settings, functions=bool(job.functions), headers=headers)
    for prompt in job.settings.prompts:  # now and not when the training is done
        if not 0 < len(job.data.tokenizer.encode(prompt)) < job.settings.model.max_position_embeddings:
            raise ValueError(
                f"prompts: {prompt!r} is empty or longer than the model's context of "
                f"{job.settings.model.max_position_embeddings} tokens. Change it, or set prompts=[]."
            )
    for stage in job.data.stages:
        job.report(stage)
    L.seed_everything(job.settings.seed, verbose=False)
    if job.start is None:  # as many tokens as there are, where the text had pairs for no more
        job.settings.model = replace(job.settings.model, vocab_size=job.data.tokenizer.vocab_size)
    shape = job.settings.model.shape
    with memory_explained(job.settings, job.precision):
        job.model = Transformer(shape) if job.start is None else job.start.transformer
    if not job.processes.rank:
        check_space(job.directory, job.model.num_parameters, averaged=job.settings.optim.ema is not None)
    job.trace.model = {
        "parameters": job.model.num_parameters,
        **asdict(shape),
        "layers": stages.weights(job.model),
    }


def _check_rows(rows: int, batch_size: int | str) -> None:
    if batch_size != AUTO and rows < int(batch_size):
        raise ValueError(
            f"{rows} training rows are fewer than one batch of {batch_size}. "
            f"Set data.batch_size={rows} or less, or give more data."
        )


def _generate(job: Job) -> None:
    """Stage 6, with the best checkpoint's weights where there is one: those that `sample.py` will use."""
    if (job.directory / "checkpoints" / "best").is_dir():
        job.model = checkpoint.load(job.directory / "checkpoints" / "best").transformer
    stage, job.trace.generation = stages.generation_stage(
        job.data, job.model, job.settings.prompts, SamplingConfig(max_new_tokens=64)
    )
    job.report(stage)
    for result in job.trace.generation:
        job.console.print(terminal.draw_completion(result, stages.known_to_training(job.data, result.prompt)))


def _finish(job: Job) -> None:
    """The end of the trace, the table and the next commands."""
    job.trace.run.seconds = job.seconds()
    best_epoch = next((e for e in job.trace.epochs if e.step == job.checkpoints.best_step), None)
    metrics = best_epoch.metrics if best_epoch else {}
    job.trace.final = metrics | {
        "best": {
            "metric": job.settings.callbacks.monitor,
            "value": job.checkpoints.best,
            "step": job.checkpoints.best_step,
        },
        "tokens": job.module.tokens_seen,
        "training_seconds": job.tracing.seconds,
    }
    job.trace.save(job.directory / "trace.json")
    watched = job.settings.callbacks
    job.console.print(terminal.draw_training_trace(job.trace.epochs, watched.monitor, watched.mode))
    job.console.print(
        terminal.draw_final(
            job.trace,
            str(job.directory / "checkpoints" / ("last" if job.checkpoints.best is None else "best")),
            _next_commands(job),
            watched.monitor,
            watched.mode,
        )
    )
    multirun.report(metrics, watched.monitor, watched.mode)


def _next_commands(job: Job) -> list[str]:
    output_dir = job.settings.output_dir
    which = f"ckpt={'last' if job.checkpoints.best is None else 'best'}"  # the one that the figures above are of
    if output_dir != "outputs":
        which += f" output_dir={shlex.quote(output_dir)}"
    prompt = shlex.quote(job.trace.generation[-1].prompt)
    return [f"python src/sample.py {which} prompt={prompt}", f"python src/evaluate.py {which}"]
