"""Which of a run's processes this one is, by the variables of torchrun, SLURM or `launching`; imports nothing slow."""

import os
import sys
from typing import Any

from sprig.config.run_directory import COMMAND


def launched() -> bool:
    """Whether this process was started by another one of ours."""
    return COMMAND in os.environ


def rank() -> int:
    """The number of this process among those of the run; 0 where it is the only one."""
    return _number("RANK", "SLURM_PROCID", 0)


def started() -> int:
    """How many processes torchrun, srun or `launching` has started for the run; 1 where nobody has."""
    return _number("WORLD_SIZE", "SLURM_NTASKS", 1)


def nodes() -> int:
    """On how many machines they are."""
    return _number("GROUP_WORLD_SIZE", "SLURM_NNODES", 1)


def _number(of_torchrun: str, of_slurm: str, otherwise: int) -> int:
    """A variable of torchrun's, or of SLURM's where Lightning would take it, too."""
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return int(os.environ.get(of_torchrun) or (not interactive and os.environ.get(of_slurm)) or otherwise)


def owner() -> bool:
    """Whether Hydra has made the run's directory in this process."""
    return not (launched() or rank())


def silent() -> bool:
    """Whether what goes wrong now goes wrong in all processes alike, and another one of this machine says it."""
    torch: Any = sys.modules.get("torch")
    among = _number("LOCAL_RANK", "SLURM_LOCALID", 1)
    return rank() > 0 and among > 0 and not (torch and torch.distributed.is_initialized())
