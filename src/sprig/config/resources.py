"""Disk and memory that a run takes: what is missing is said before it starts, or once it has ended the run."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sprig.checkpoint.states import KEPT
from sprig.config.schema import TrainConfig
from sprig.data.config import AUTO

_WEIGHT = 4  # bytes of a float32
_OPTIMISER = 2 * _WEIGHT  # AdamW's two moments; Muon has one
_SETTLED = 1 << 20  # bytes of tokenizer, trace and figures, roughly


def disk_needed(parameters: int, averaged: bool = False) -> int:
    """Bytes that the checkpoints of a model take at most: states, best and last, and one of each being written.

    averaged: a state holds a moving average of the weights as well.
    """
    state, weights = (_WEIGHT * (1 + averaged) + _OPTIMISER) * parameters, _WEIGHT * parameters
    return (KEPT + 1) * state + 3 * weights + _SETTLED


def check_space(directory: Path, parameters: int, averaged: bool = False) -> None:
    """ValueError, in two lines, if the file system of a run directory has no room for what the run will keep."""
    checkpoints = directory / "checkpoints"
    there = sum(path.stat().st_size for path in checkpoints.rglob("*") if path.is_file())
    needed, free = disk_needed(parameters, averaged) - there, shutil.disk_usage(directory).free
    if free < needed:
        raise ValueError(
            f"The checkpoints of {parameters:,} parameters take up to {_megabytes(needed)} MB, and "
            f"{directory} has {free / 1e6:,.0f} MB free.\n"
            f"Free {_megabytes(needed - free)} MB, name another place by output_dir=..., or take a smaller model=."
        )


def _megabytes(size: int) -> str:
    return f"{-(-size // 10**6):,}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether error says that memory, a GPU's or the machine's, did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "CUDA out of memory")
    )


@contextmanager
def memory_explained(settings: TrainConfig, precision: str) -> Iterator[None]:
    """Turn an end of memory into a ValueError that names what lowers it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ValueError(
            f"Out of memory. What lowers it, the most first:\n  {how_to_take_less(settings, precision)}\n"
            "A run that is gone on with by resume= can change those of trainer.* alone."
        ) from error


def how_to_take_less(settings: TrainConfig, precision: str) -> str:
    """The settings that lower memory, in the order of their effect: rows at a time, what is kept of them, and so on."""
    batch, steps = settings.data.batch_size, settings.trainer.accumulate_grad_batches
    ways = []
    if batch != AUTO and batch > 1:
        ways.append(f"data.batch_size={-(-batch // 2)} trainer.accumulate_grad_batches={2 * steps} (learns the same)")
    if not settings.trainer.activation_checkpointing:
        ways.append("trainer.activation_checkpointing=true (learns the same, a third slower)")
    if settings.data.seq_len > 1:
        ways.append(f"data.seq_len={settings.data.seq_len // 2}")
    ways.append("a smaller model= or model.hidden_size, model.num_hidden_layers")
    if precision.startswith("32"):
        ways.append("trainer.precision=bf16-mixed")
    return "; ".join(ways)
