"""Several processes for one run: those that torchrun or SLURM has started, and those that are started here.

Every process runs the main. Without torchrun or srun, the first one starts all that train, as torchrun would, and
waits for them. So it does with each job of a multirun, be it a single process: what ends one job, lack of memory or a
crash of a library, ends no other. Nothing slow is imported.
"""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from sprig.config import children, command_line, multirun
from sprig.config.checks import check_train
from sprig.config.ranks import launched, nodes, rank, started
from sprig.config.run_directory import Interrupted, check_output
from sprig.config.schema import TrainConfig
from sprig.config.vocabulary import settled
from sprig.training.config import TrainerConfig

_NO_DIRECTORY = ("hydra.run.dir=.", "hydra.output_subdir=null")


class ProcessFailed(Exception):
    """A process of the run has failed and has said why on the terminal; the message is the first line of it."""


def prepare(verb: str, argv: list[str]) -> list[str]:
    """The command line for Hydra, as `command_line.prepare` makes it; ValueError for one that cannot be run."""
    if launched():
        return argv  # it was prepared
    several = bool({"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(argv))
    sweep = next((it for it in argv if it.startswith("sweep=") and it not in ("sweep=", "sweep=null")), None)
    if sweep is not None and not several:
        raise ValueError(f"{sweep:.80} is for several runs, and without -m there is one: add -m.")
    if started() > 1 and several:
        raise ValueError(
            "A multirun starts the processes of each job itself: leave out torchrun or srun, and set trainer.devices."
        )
    if verb == "train" and not rank():
        for argument in argv:  # before Hydra writes its files over those of the run that is there
            if argument.startswith("hydra.run.dir="):
                check_output(Path(argument.removeprefix("hydra.run.dir=").strip("'\"")))
    script, *arguments = command_line.prepare(verb, argv)
    # The run's directory has a time in its name: rank 0 makes it and tells the others.
    return [script, *command_line.flags_last([*(_NO_DIRECTORY if rank() else []), *arguments])]


def with_processes(config: TrainerConfig) -> TrainerConfig:
    """config with devices and num_nodes as they are; ValueError where they are not those that were started."""
    devices = config.devices
    if started() > 1:
        each = started() // nodes()
        if devices not in (-1, each) or config.num_nodes not in (1, nodes()):
            raise ValueError(
                f"{started()} processes were started, {each} a machine, but trainer.devices={devices} and "
                f"trainer.num_nodes={config.num_nodes}: set trainer=ddp, which takes what there is."
            )
        return replace(config, devices=each, num_nodes=nodes())
    if config.num_nodes > 1:
        raise ValueError(
            f"trainer.num_nodes={config.num_nodes}: processes on several machines are started by torchrun or srun."
        )
    if devices == -1:
        devices = 1 if config.accelerator == "cpu" else _gpus()
    return replace(config, devices=devices)


def _gpus() -> int:
    """GPUs of this machine; 1 where there is none, for the processor."""
    import torch

    return max(1, torch.cuda.device_count())


def processes_to_launch(settings: TrainConfig) -> int:
    """How many processes have to be started for the run; 0 where this one trains, alone or as one of several."""
    if launched() or started() > 1:
        return 0
    count = with_processes(settings.trainer).devices
    return count if count > 1 or multirun.goes_on() else 0


def launch(settings: TrainConfig, directory: Path) -> float | None:
    """Run the main job of directory in processes of its own and wait for them; the best value, as `train` gives it.

    ProcessFailed or Interrupted where they were.
    """
    if settings.model.init_from is None:  # else its model decides what the settings are, and it is not loaded here
        check_train(replace(settings, data=settled(settings.data, settings.model)))
    if settings.resume is None:
        check_output(directory)
    count = processes_to_launch(settings)
    end = children.run(_command(directory), count)
    if end.interrupted or (end.code and end.signal and multirun.goes_on()):
        _raise_interrupted(end, directory)
    if end.code < 0:
        raise ValueError(
            (f"process {end.number} of {count}" if count > 1 else "its process")
            + f" was ended by {signal.Signals(-end.code).name}"
            + (", so the others were ended as well." if count > 1 else ".")
            + (" Lack of memory is the usual cause." if -end.code == signal.SIGKILL else "")
        )
    if end.code and not end.said:  # one that fails says why, unless it is ended before it comes to it
        raise ValueError(f"process {end.number} of {count} ended with exit code {end.code} and said nothing.")
    if end.code and end.unheard:  # it failed before the processes met, and was the only one
        raise ValueError(f"process {end.number} of {count}: {end.said}")
    if end.code:
        raise ProcessFailed(end.said)
    final = json.loads((directory / "trace.json").read_text(encoding="utf-8"))["final"]
    metrics = {name: value for name, value in final.items() if "/" in name}
    multirun.report(metrics, settings.callbacks.monitor, settings.callbacks.mode)
    if end.signal and multirun.goes_on():  # this job was done already, and none is to follow
        raise Interrupted("", 128 + end.signal)
    best: float | None = final["best"]["value"]
    return best


def _command(directory: Path) -> list[str]:
    """What runs the main job of directory alone: this command line once more, with a multirun's job's own settings."""
    hydra = HydraConfig.get()
    return [
        sys.executable,
        str(Path(hydra.runtime.cwd, sys.argv[0])),  # Hydra may have gone elsewhere
        *command_line.where_configs_are(),
        *hydra.overrides.task,
        *([f"hydra.job.num={hydra.job.num}"] if multirun.goes_on() else []),  # a setting may ask for it
        f"hydra.run.dir={command_line.quote(str(directory))}",
        "hydra.output_subdir=null",  # it is written
        "hydra.mode=RUN",
    ]


def _raise_interrupted(end: children.End, directory: Path) -> None:
    """Raise what a signal has ended: the run and the sweep, or, where it came to a job alone, that job."""
    if end.signal or not multirun.goes_on():
        raise Interrupted("", 128 + end.signal if end.signal else end.code)
    name = signal.Signals(end.code - 128).name  # of some that watch over the memory; the other jobs go on
    how = f"go on with it by resume={directory}" if command_line.has_state(directory) else "nothing was saved before"
    raise ProcessFailed(f"{name} stopped it and not the sweep; {how}")
