"""The seam between two parts of a run: how one ends early, and what the next takes up."""

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import lightning as L
import yaml
from hydra.core.hydra_config import HydraConfig

from sprig.checkpoint.files import check_replaceable, tidy
from sprig.checkpoint.states import newest_state
from sprig.config import command_line
from sprig.config.run_directory import Interrupted
from sprig.config.schema import TrainConfig
from sprig.trace.console import visible
from sprig.trace.records import Trace, read_earlier
from sprig.training.callbacks.checkpoints import Checkpoints, NotSaved
from sprig.training.callbacks.interruption import Stopped
from sprig.training.processes import FailedElsewhere


@contextmanager
def ends_explained(trainer: L.Trainer, directory: Path, stopped: Callable[[], None]) -> Iterator[None]:
    """Say what became of the run in directory if it ends early, and how to go on; stopped() is called after a signal.

    Interrupted, with the exit code, for a signal; OSError, in three lines, for a disk that did not take the end.
    """
    how = f"Go on with:\n  {shlex.join([*command_line.command(), f'resume={directory}'])}"
    try:
        yield
    except FailedElsewhere:
        raise
    except SystemExit:  # what Lightning makes of a second Ctrl-C
        raise KeyboardInterrupt from None
    except Stopped as stop:
        stopped()
        raise Interrupted(
            f"Stopped by {signal.Signals(stop.signal_number).name} after step {trainer.global_step}; "
            f"everything is saved. {how}",
            128 + stop.signal_number,
        ) from stop
    except NotSaved as error:
        raise OSError(f"{error}\nFree that space or make it writable. {how}") from error


def state_to_go_on_from(checkpoints: Checkpoints) -> Path:
    """The newest state that is whole and fits the run; names those that are not. ValueError if there is none, and where
    the run could not save what it would come to. Removes what killed saves have left.
    """
    state, damages = newest_state(checkpoints.directory / "states")
    checkpoints.check_resumable(state)
    tidy(checkpoints.directory)
    for name in ("best", "last"):
        check_replaceable(checkpoints.directory / name)
    for damage in damages:
        print(visible(f"{damage} The run goes on from {state.parent.name}, the state before."), file=sys.stderr)
    return state


def tell_changes(settings: TrainConfig, directory: Path) -> None:
    """Name what of the trainer and the callbacks is not as it was when the run began, though nobody has said so.

    A run goes on by the settings that it was started with, and by the files of settings as they are now. What else
    would be another run is refused by `Checkpoints.check_resumable`.
    """
    try:
        began = yaml.safe_load((directory / ".hydra" / "config.yaml").read_text(encoding="utf-8"))
        before = {group: dict(began[group]) for group in ("trainer", "callbacks")}
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return  # nothing tells how it was
    task = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    given = {override.partition("=")[0] for override in task}
    if given & {"debug", "experiment", "sweep"}:  # they may be given now, and set anything
        return
    changed = [
        f"{group}.{key} was {before[group][key]} and is {value}"
        for group, was in before.items()
        for key, value in asdict(getattr(settings, group)).items()
        if key not in ("devices", "num_nodes")  # "all of them" is kept as their number
        and not given & {group, f"{group}.{key}"}
        and was.get(key, value) != value
        and "${" not in str(was[key])
    ]
    if changed:
        print(
            visible(f"A file of settings has changed since the run began, and it goes on so: {'; '.join(changed)}."),
            file=sys.stderr,
        )


def take_up_trace(trace: Trace, path: Path) -> None:
    """Go on with the trace of the parts before; one that is damaged does not stop a run whose state is whole."""
    try:
        earlier, trace.epochs = read_earlier(path)
    except ValueError as error:
        print(visible(f"{error} The figures so far are lost; the run goes on."), file=sys.stderr)
        return
    run = trace.run
    run.command, run.started, run.seconds = earlier.command, earlier.started, earlier.seconds
