"""The jobs of a multirun: what each came to as a plain value, and their table, best first."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from sprig.trace.console import AtLeast, bare_table, figure, heading, visible
from sprig.trace.metrics import shown


@dataclass
class JobResult:
    """One job of a multirun."""

    number: int
    overrides: list[str]
    status: str
    """done, or what became of it instead: failed, interrupted."""
    metrics: dict[str, float]
    """The figures that it ended with; empty where it had none."""
    directory: str
    error: str | None = None


def draw_jobs(
    jobs: Sequence[JobResult],
    monitor: str = "val/loss",
    mode: str = "min",
    command: Sequence[str] = ("python", "src/train.py"),
) -> RenderableType:
    """The table of jobs, best by monitor first (mode "min": the lowest), failed and unmeasured ones last.

    command is what a job's overrides are put behind to run it alone.
    """
    ranked = sorted(jobs, key=lambda job: _rank(job, monitor, mode))
    measured = {name for job in jobs for name in job.metrics}
    names = [monitor, *shown(measured - {monitor, "train/loss"})]
    parents = {Path(job.directory).parent for job in jobs}
    table = bare_table()
    table.add_column("\njob", justify="right", no_wrap=True)
    for name in names:
        table.add_column(heading(name), justify="right", no_wrap=True)
    table.add_column("\nstatus", no_wrap=True)
    table.add_column("\noverrides", overflow="fold", min_width=20)
    table.add_column("\ndirectory", overflow="fold", min_width=12)
    for place, job in enumerate(ranked):
        table.add_row(
            str(job.number),
            *(figure(job.metrics.get(name)) for name in names),
            Text(job.status, "" if job.status == "done" else "red"),
            Text(visible(" ".join(job.overrides))),
            Text(Path(job.directory).name if len(parents) == 1 else job.directory),
            style="green" if place == 0 and math.isfinite(job.metrics.get(monitor, math.nan)) else "",
        )
    head = Text.assemble((f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}, ranked by {monitor}", "bold"))
    if len(parents) == 1:
        head.append(f", in {parents.pop()}")
    below: list[RenderableType] = []
    if not _rank(ranked[0], monitor, mode)[0]:
        # No part of the table, which would break it into lines: it has to survive being copied.
        best = shlex.join([*command, *ranked[0].overrides])
        below += [Text("\nThe best of them alone", "bold"), Text(f"    {visible(best)}", "cyan")]
    errors = [Text(visible(f"job {job.number} {job.status}: {job.error}"), "red") for job in ranked if job.error]
    return Group(head, AtLeast(110, table), *below, *([Text(), *errors] if errors else []))


def _rank(job: JobResult, monitor: str, mode: str) -> tuple[bool, float, int]:
    value = job.metrics.get(monitor, math.nan)
    if job.status != "done" or not math.isfinite(value):
        return True, 0.0, job.number
    return False, value if mode == "min" else -value, job.number
