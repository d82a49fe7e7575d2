"""Rows to batches of tensors, in an order that depends on the seed and the epoch alone and can be taken up again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sprig.data.packing import Rows

IGNORED = -100  # a target that counts nowhere: PyTorch's own default for cross-entropy
_POOL = 32  # batches whose rows are sorted by length together


@dataclass(frozen=True, slots=True)
class Batch:
    """What the model reads and what it has to guess."""

    input_ids: Tensor
    """(B, T) token ids."""
    targets: Tensor
    """(B, T) the ids that follow, IGNORED where there is padding."""
    body: Tensor
    """(B, T) true where the target follows its function's header."""
    tokens: int
    """Targets that count."""
    positions: int
    """Positions of the batch's rows before any was trimmed; rows that only fill it up have none."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on device."""
        return Batch(
            self.input_ids.to(device), self.targets.to(device), self.body.to(device), self.tokens, self.positions
        )


class BatchLoader:
    """Iterates over an epoch's batches; the last one is filled up with rows that count nowhere.

    With trim, rows of like length are batched together and a batch ends with its longest row: padding is not
    computed, at the price of shapes that differ between batches.
    """

    def __init__(self, rows: Rows, batch_size: int, *, pad: int, seed: int | None, trim: bool) -> None:
        """With seed None, rows come in their own order each time (validation)."""
        self.rows, self.batch_size, self.pad, self.seed, self.trim = rows, batch_size, pad, seed, trim
        self.epoch = -1
        """The number of the pass over the rows that is going on; each iteration begins the next one."""
        self._handed_out = 0
        self._first = 0

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self.epoch += 1
        self._handed_out, self._first = self._first, 0
        for numbers in self._order()[self._handed_out :]:
            self._handed_out += 1
            yield self._batch(numbers)

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration stands."""
        return {"epoch": self.epoch, "handed_out": self._handed_out}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next iteration go on where state was taken, or begin the next pass if that one was over."""
        over = state["handed_out"] >= len(self)
        self.epoch = state["epoch"] if over else state["epoch"] - 1
        self._first = 0 if over else state["handed_out"]

    def _order(self) -> list[NDArray[np.int64]]:
        """Row numbers of each batch of this epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        numbers = np.arange(len(self.rows)) if rng is None else rng.permutation(len(self.rows))
        if not self.trim:
            return self._cut(numbers)
        batches = []
        for pool in np.array_split(numbers, range(self.batch_size * _POOL, len(numbers), self.batch_size * _POOL)):
            batches += self._cut(pool[np.argsort(self.rows.lengths[pool], kind="stable")])
        return batches if rng is None else [batches[number] for number in rng.permutation(len(batches))]

    def _cut(self, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(numbers, range(self.batch_size, len(numbers), self.batch_size))

    def _batch(self, numbers: NDArray[np.int64]) -> Batch:
        lengths = self.rows.lengths[numbers]
        width = int(lengths.max()) if self.trim else self.rows.seq_len
        ids = np.full((self.batch_size, width + 1), self.pad, dtype=np.int64)
        body = np.zeros((self.batch_size, width), dtype=np.bool_)
        ids[: len(numbers)] = self.rows.ids[numbers, : width + 1]
        body[: len(numbers)] = self.rows.body[numbers, 1 : width + 1]
        targets = ids[:, 1:].copy()
        targets[: len(numbers)][np.arange(width) >= lengths[:, None]] = IGNORED
        targets[len(numbers) :] = IGNORED
        return Batch(
            torch.from_numpy(ids[:, :-1]),
            torch.from_numpy(targets),
            torch.from_numpy(body),
            tokens=int(lengths.sum()),
            positions=len(numbers) * self.rows.seq_len,
        )
