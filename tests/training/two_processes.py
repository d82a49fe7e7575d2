"""Two processes of one run: `two` starts Python twice, `fit` trains a few steps as one of them, or alone."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy

from sprig.data.datamodule import RowsDataModule
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes
from training.test_module import TOKENIZER, module, rows_of, trainer

TESTS = Path(__file__).parents[1]


@contextmanager
def two(*arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Python with arguments, twice, as torchrun would start it; the processes are no more afterwards."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    where = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    where["PYTHONPATH"] = os.pathsep.join(map(str, (TESTS.parent / "src", TESTS)))
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=where | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def fit(
    folder: Path,
    processes: Processes,
    *,
    bad: Sequence[list[int]] = (),
    ema: float | None = None,
    optimizer: str = "adamw",
    **settings: Any,
) -> dict[str, Any]:
    """Train ten batches of four rows, of which bad ones, [rank, number] from 0, give no finite loss; what came of it.

    The other settings are the Trainer's. Where weights are sharded, rank 0's are all of them.
    """
    trained = LanguageModelling(
        module().transformer, OptimConfig(name=optimizer, lr=0.003, ema=ema), ["loss"], TOKENIZER.token_bytes,
        processes=processes,
    )  # fmt: skip

    def spoil(layer: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        number = trained.trainer.fit_loop.total_batch_idx
        return output * torch.nan if trained.training and [processes.rank, number] in bad else output

    trained.transformer.model.norm.register_forward_hook(spoil)
    rows = rows_of(40)
    data = RowsDataModule(rows, rows, 4, seed=0, trim=True, rank=processes.rank, processes=processes.count)
    fitting = trainer(folder, max_epochs=1, devices=processes.count, **{"precision": "64-true"} | settings)
    fitting.fit(trained, data)
    return {
        "weights": (trained.whole_transformer() if ema is None else trained.transformer).state_dict(),
        "averaged": trained.averaged and trained.averaged.state_dict(),
        "steps": fitting.global_step,
        "skipped": trained.skipped_steps,
        "tokens": trained.tokens_seen,
        "loss": float(fitting.callback_metrics["val/loss"]),
        "random": torch.get_rng_state(),
    }


def fit_in_two(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """What came of it in each of two processes."""
    with two("-m", __name__, str(folder), json.dumps(settings)) as processes:
        ends = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


if __name__ == "__main__":
    folder, rank, settings = Path(sys.argv[1]), int(os.environ["RANK"]), json.loads(sys.argv[2])
    if settings.pop("sharded", False):
        strategies = [ModelParallelStrategy(2, 1, save_distributed_checkpoint=False) for _ in range(2)]
    else:
        strategies = ["ddp", "ddp"]
    L.seed_everything(0, verbose=False)  # as the main job does, and Lightning again when training starts
    met = trainer(folder, devices=2, strategy=strategies[0]).strategy
    outcome = fit(folder, Processes(rank, 2, met), strategy=strategies[1], **settings)
    torch.save(outcome, folder / f"{rank}.pt")
