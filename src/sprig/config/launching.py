"""Several processes for one run: those that torchrun or SLURM has started, and those that are started here.

Every process runs the main. Without torchrun or srun, the first one starts all that train, as torchrun would, and
waits for them. So it does with each job of a multirun, be it a single process: what ends one job, lack of memory or a
crash of a library, ends no other. Nothing slow is imported.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from hydra.core.hydra_config import HydraConfig

from sprig.config import command_line, multirun
from sprig.config.checks import check_train
from sprig.config.ranks import launched, nodes, rank, started
from sprig.config.run_directory import COMMAND, Interrupted, check_output, command_as_typed
from sprig.config.schema import TrainConfig
from sprig.training.config import TrainerConfig

_REASON = "SPRIG_REASON"
"""The environment's name for the descriptor to which a process says why it failed."""
_NO_DIRECTORY = ("hydra.run.dir=.", "hydra.output_subdir=null")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_INTERRUPTED = [128 + number for number in _SIGNALS]
_GRACE = 20.0  # seconds for the others to end by themselves once one has failed


class ProcessFailed(Exception):
    """A process of the run has failed and has said why on the terminal; the message is the first line of it."""


def prepare(verb: str, argv: list[str]) -> list[str]:
    """The command line for Hydra, as `command_line.prepare` makes it; ValueError for one that cannot be run."""
    if launched():
        return argv  # it was prepared
    if started() > 1 and {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(argv):
        raise ValueError(
            "A multirun starts the processes of each job itself: leave out torchrun or srun, and set trainer.devices."
        )
    if verb == "train" and not rank():
        for argument in argv:  # before Hydra writes its files over those of the run that is there
            if argument.startswith("hydra.run.dir="):
                check_output(Path(argument.removeprefix("hydra.run.dir=").strip("'\"")))
    script, *arguments = command_line.prepare(verb, argv)
    # The run's directory has a time in its name: rank 0 makes it and tells the others.
    return [script, *(_NO_DIRECTORY if rank() else []), *arguments]


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
        check_train(settings)
    if settings.resume is None:
        check_output(directory)
    count = processes_to_launch(settings)
    reasons, reason = os.pipe()
    command = [
        sys.executable,
        sys.argv[0],
        *_where_configs_are(),
        *HydraConfig.get().overrides.task,  # a multirun's job has its own
        f"hydra.run.dir={command_line.quote(str(directory))}",
        "hydra.output_subdir=null",  # it is written
    ]
    environment = {name: value for name, value in os.environ.items() if name != "SLURM_NTASKS"} | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(count),
        COMMAND: command_as_typed(),
        _REASON: str(reason),
    }
    children = [
        # In a session of its own no process gets a terminal's Ctrl-C twice: all signals come from here.
        subprocess.Popen(  # noqa: S603  # our own command line, once more
            command,
            env=environment | {"RANK": str(number), "LOCAL_RANK": str(number)},
            stdin=subprocess.PIPE,
            pass_fds=[reason],
            start_new_session=True,
        )
        for number in range(count)
    ]
    os.close(reason)
    number, code, handed_on = _wait(children)
    reason_given = _first_said(reasons)
    if code in _INTERRUPTED:
        if multirun.goes_on() and not handed_on:  # as some do that watch over the memory; the other jobs go on
            name = signal.Signals(code - 128).name
            raise ProcessFailed(f"{name} stopped it and not the sweep; go on with it by resume={directory}")
        raise Interrupted("", code)
    if code < 0:
        raise ValueError(
            (f"process {number} of {count}" if count > 1 else "its process")
            + f" was ended by {signal.Signals(-code).name}"
            + (", so the others were ended as well." if count > 1 else ".")
            + (" Lack of memory is the usual cause." if -code == signal.SIGKILL else "")
        )
    if code:
        raise ProcessFailed(reason_given or f"its process {number} ended with exit code {code}")
    final = json.loads((directory / "trace.json").read_text(encoding="utf-8"))["final"]
    metrics = {name: value for name, value in final.items() if "/" in name}
    multirun.report(metrics, settings.callbacks.monitor, settings.callbacks.mode)
    best: float | None = final["best"]["value"]
    return best


def give_reason(error: Exception) -> None:
    """Tell the process that started this one, if one did, why it will fail."""
    if launched():
        with suppress(OSError):  # it is no more
            os.write(int(os.environ[_REASON]), f"{multirun.first_line(error)}\n".encode(errors="replace"))


def _first_said(reasons: int) -> str:
    """The first line that came through the descriptor, which is closed; empty where nothing did."""
    os.set_blocking(reasons, False)  # a process that outlives those that were started may hold its other end
    try:
        return os.read(reasons, select.PIPE_BUF).decode(errors="replace").partition("\n")[0]
    except BlockingIOError:
        return ""
    finally:
        os.close(reasons)


def _where_configs_are() -> list[str]:
    """Hydra's own words on the command line for files of settings that stand elsewhere than in conf/."""
    hydra = HydraConfig.get()
    given = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    searched = [override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath=")]
    return [*(f"--config-dir={path}" for path in given), *searched]


def follow_launcher() -> None:
    """Stop this process as a signal would when the one that started it is no more."""

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)  # ends with the process at the other end of the pipe
        os.kill(os.getpid(), signal.SIGTERM)

    if launched():
        threading.Thread(target=watch, daemon=True).start()


def _wait(children: list[subprocess.Popen[bytes]]) -> tuple[int, int, bool]:
    """Wait for all; the number and exit code of the first that failed, or a code of 0, and whether it got a signal.

    Signals are handed on to all: a process that has not yet come to heed them is ended by them, and was interrupted.
    """
    handed = set()

    def hand_on(number: int, frame: FrameType | None) -> None:
        handed.add(-number)
        for child in children:
            child.send_signal(number)

    former = {number: signal.signal(number, hand_on) for number in _SIGNALS}
    first, deadline = (0, 0), float("inf")
    try:
        while True:
            codes = [128 - code if (code := child.poll()) in handed else code for child in children]
            if not first[1]:
                first = next(((number, code) for number, code in enumerate(codes) if code), first)
                if first[1] not in (0, *_INTERRUPTED):
                    deadline = time.monotonic() + _GRACE
            if None not in codes:
                return *first, bool(handed)
            if time.monotonic() > deadline:
                for child in children:
                    child.kill()
            time.sleep(0.05)
    finally:
        for child in children:
            child.kill()
        for number, handler in former.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
