"""The jobs of a multirun: what each came to, and the table at the end."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from sprig.config import command_line
from sprig.config.ranks import launched
from sprig.config.run_directory import Interrupted
from sprig.trace.console import open_console, visible
from sprig.trace.jobs import JobResult


@dataclass
class _Sweep:
    monitor: str = "val/loss"
    mode: str = "min"
    command: list[str] = field(default_factory=command_line.command)
    jobs: list[JobResult] = field(default_factory=list)


_sweep = _Sweep()  # Hydra's own launcher starts the jobs one after the other from this process


def goes_on() -> bool:
    """Whether this is a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def first_line(error: Exception) -> str:
    """What an error says first, or its name."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@contextmanager
def job(directory: Path) -> Iterator[None]:
    """Keep the result of the run that goes on inside, if it is a job of a multirun."""
    if not goes_on():
        yield
        return
    # How the job's values were found, and that it was interrupted once, are none of its settings.
    own = [each for each in HydraConfig.get().overrides.task if not each.startswith(("sweep=", "resume="))]
    overrides = [command_line.as_typed(override) for override in own]
    result = JobResult(HydraConfig.get().job.num, overrides, "failed", {}, str(directory))
    _sweep.jobs.append(result)
    _sweep.command = command_line.command()
    if not launched():  # its own process says the rest
        open_console(lasting=True).print(visible(f"\nJob {result.number}: {' '.join(overrides)}"))
    try:
        yield
        result.status = "done"
    except Interrupted:
        if result.status != "done":  # a signal may come as a job ends
            result.status = "interrupted"
        raise
    except Exception as error:
        result.error = first_line(error)
        raise


def report(metrics: dict[str, float], monitor: str, mode: str) -> None:
    """Tell the multirun what its present job measured, and by what jobs are ranked; outside one, nothing happens."""
    _sweep.monitor, _sweep.mode = monitor, mode
    if _sweep.jobs:
        _sweep.jobs[-1].metrics, _sweep.jobs[-1].status = metrics, "done"


def recall(jobs: Iterable[JobResult], monitor: str, mode: str) -> None:
    """Put jobs of an earlier part of the multirun before those to come, and rank them as `report` would."""
    _sweep.monitor, _sweep.mode = monitor, mode
    _sweep.jobs[:0] = jobs


def newest() -> JobResult:
    """What the last job came to."""
    return _sweep.jobs[-1]


def draw() -> None:
    """Print the table of the jobs, best first; outside a multirun, nothing happens."""
    if _sweep.jobs:
        from sprig.trace.jobs import draw_jobs

        open_console(lasting=True).print(draw_jobs(_sweep.jobs, _sweep.monitor, _sweep.mode, _sweep.command))
