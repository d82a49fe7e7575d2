"""data.batch_size=auto: as many rows as the memory takes, a number before training begins.

It is a number in everything that is kept of the run, so that the run goes on and is evaluated with it.
"""

from copy import deepcopy
from dataclasses import replace

from sprig.config.fitting import module_of
from sprig.config.job import Job
from sprig.config.resources import how_to_take_less, memory_explained
from sprig.data.config import AUTO
from sprig.training.largest_batch import Trial, forget, largest_batch, most_tokens
from sprig.training.optim import build_optimizer

_STEPS = 32  # of an epoch, at least: a model learns little in fewer, however large


def settle(job: Job) -> None:
    """Put a number where auto stands: a power of two for each process. ValueError if not one row fits.

    Every process tries, since each has a GPU of its own; all take what fits in each of them.
    """
    data, count = job.settings.data, job.processes.count
    if data.batch_size != AUTO:
        return
    device, there = job.strategy.root_device, sum(job.data.train.counts(0))
    if there < count:
        raise ValueError(f"{there} training rows cannot be dealt out to {count} processes: give more data.")
    most = max(1, min(there // _STEPS, most_tokens(device) // data.seq_len) // count)
    with memory_explained(job.settings, job.precision):
        fitting = min(job.processes.gather(largest_batch(_trial(job), most, sharing=job.settings.trainer.devices)))
    forget()
    if not fitting:
        raise ValueError(
            f"Not one row of data.seq_len={data.seq_len} fits into the memory. What lowers it, the most first:\n"
            f"  {how_to_take_less(job.settings, job.precision)}"
        )
    chosen = fitting * count
    job.settings.data = replace(data, batch_size=chosen)
    if 2 * fitting <= most:
        why = "twice as many do not fit into the memory"
    elif 2 * chosen <= there // _STEPS:
        why = "more would gain nothing"
    else:
        why = f"of {there:,}, for {_STEPS} steps an epoch"
    job.console.print(f"data.batch_size=auto is {chosen:,} rows of {data.seq_len:,} tokens: {why}")


def _trial(job: Job) -> Trial:
    module = module_of(job, deepcopy(job.model))
    settings = job.settings
    return Trial(
        module,
        build_optimizer(module.transformer, settings.optim, module.optimizer_dtype),
        job.strategy.precision_plugin,
        job.strategy.root_device,
        seq_len=settings.data.seq_len,
        document_mask=settings.data.document_mask,
        processes=job.processes.count,
    )
