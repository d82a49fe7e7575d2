"""Rows to batches of tensors, in an order that depends on the seed and the epoch alone and can be taken up again.

Several processes deal each batch's rows out among themselves: every row goes to exactly one of them, and all have the
same number of batches. Where the iteration stands is the same in all of them, and does not depend on their number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sprig.data.packing import Rows

IGNORED = -100  # a target that counts nowhere: PyTorch's own default for cross-entropy
_POOL = 32  # batches whose rows are sorted by length together


@dataclass(slots=True)  # not frozen: Lightning sets the fields of a copy where it changes the precision
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
    all_tokens: int
    """Those in the rows that other processes have of this batch included."""
    positions: int
    """Positions of the batch's rows before any was trimmed; rows that only fill it up have none."""
    documents: Tensor | None = None
    """(B, T) which document of its row a position belongs to, for attention that ends there; None where it does not."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on device."""
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            targets=self.targets.to(device),
            body=self.body.to(device),
            documents=None if self.documents is None else self.documents.to(device),
        )


class BatchLoader:
    """Iterates over an epoch's batches; the last one is filled up with rows that count nowhere.

    With trim, rows of like length are batched together and a batch ends with its longest row: padding is not
    computed, at the price of shapes that differ between batches.
    """

    def __init__(
        self,
        rows: Rows | Callable[[int], Rows],
        batch_size: int,
        *,
        seed: int | None,
        trim: bool,
        document_mask: bool = False,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """rows are the same in every epoch, or made for each of them. With seed None they come in their own order.

        batch_size is that of all processes together; this one, of number rank, has every processes-th row of a batch.
        """
        self.batch_size, self.seed, self.trim, self.document_mask = batch_size, seed, trim, document_mask
        self.rank, self.processes = rank, processes
        self.epoch = -1
        """The number of the pass over the rows that is going on; each iteration begins the next one."""
        self._rows_of = rows if callable(rows) else lambda _: rows
        self._made: tuple[int, Rows] | None = None
        self._handed_out = 0
        self._first = 0
        self._over = True

    @property
    def rows(self) -> Rows:
        """Those of the pass that is going on, or of the one to come."""
        epoch = self.epoch + self._over
        if self._made is None or self._made[0] != epoch:
            self._made = (epoch, self._rows_of(epoch))
        return self._made[1]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self.epoch, self._over = self.epoch + 1, False
        self._handed_out, self._first = self._first, 0
        lengths = self.rows.lengths
        for numbers in self._order(lengths)[self._handed_out :]:
            self._handed_out += 1
            yield self._batch(numbers[self.rank :: self.processes], int(lengths[numbers].sum()))
        self._over = True

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration stands."""
        return {"epoch": self.epoch, "handed_out": self._handed_out}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next iteration go on where state was taken, or begin the next pass if that one was over."""
        self.epoch, self._over = state["epoch"] - 1, True
        over = state["handed_out"] >= len(self)
        self.epoch = state["epoch"] if over else state["epoch"] - 1
        self._first = 0 if over else state["handed_out"]

    def _order(self, lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Row numbers of each batch of this epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        numbers = np.arange(len(self.rows)) if rng is None else rng.permutation(len(self.rows))
        if not self.trim:
            return self._cut(numbers)
        batches = []
        for pool in np.array_split(numbers, range(self.batch_size * _POOL, len(numbers), self.batch_size * _POOL)):
            batches += self._cut(pool[np.argsort(lengths[pool], kind="stable")])
        return batches if rng is None else [batches[number] for number in rng.permutation(len(batches))]

    def _cut(self, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(numbers, range(self.batch_size, len(numbers), self.batch_size))

    def _batch(self, numbers: NDArray[np.int64], all_tokens: int) -> Batch:
        read = self.rows.read(numbers)
        tokens = read.documents[:, 1:] >= 0
        width = int(tokens.sum(1).max(initial=1)) if self.trim else self.rows.seq_len
        most = -(-self.batch_size // self.processes)
        missing = ((0, most - len(numbers)), (0, 0))  # rows that only fill up
        ids = np.pad(read.ids[:, : width + 1], missing)
        documents = np.pad(read.documents[:, 1 : width + 1], missing, constant_values=-1)
        return Batch(
            torch.from_numpy(ids[:, :-1]),
            torch.from_numpy(np.where(documents >= 0, ids[:, 1:], IGNORED)),
            torch.from_numpy(np.pad(read.body[:, 1 : width + 1], missing)),
            tokens=int(tokens.sum()),
            all_tokens=all_tokens,
            positions=len(numbers) * self.rows.seq_len,
            documents=torch.from_numpy(documents) if self.document_mask else None,
        )
