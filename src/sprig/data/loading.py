"""Rows to batches of tensors, in an order that depends on the seed and the epoch alone and can be taken up again.

Several processes deal each batch's rows out among themselves: every row goes to exactly one of them, and all have the
same number of batches. Where the iteration stands is the same in all of them, and does not depend on their number.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sprig.data.packing import Rows
from sprig.data.shards import Shards

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
        """The same batch on device. A GPU fetches it when it comes to it: nobody waits."""

        def there(tensor: Tensor) -> Tensor:
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        return replace(
            self,
            input_ids=there(self.input_ids),
            targets=there(self.targets),
            body=there(self.body),
            documents=None if self.documents is None else there(self.documents),
        )


class _Place(NamedTuple):
    """How far a pass has come."""

    handed_out: int
    """Batches of all shards."""
    shard: int
    """How many shards are behind it."""
    within: int
    """Batches of the one that is read."""


_START = _Place(0, 0, 0)


class BatchLoader:
    """Iterates over an epoch's batches; the last one of each shard is filled up with rows that count nowhere.

    With trim, rows of like length are batched together and a batch ends with its longest row: padding is not
    computed, at the price of shapes that differ between batches.
    """

    def __init__(
        self,
        rows: Rows | Shards,
        batch_size: int,
        *,
        seed: int | None,
        trim: bool,
        document_mask: bool = False,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """With seed None rows come in their own order; else shards are shuffled once they do not grow any more, and the
        rows of each of them.

        batch_size is that of all processes together; this one, of number rank, has every processes-th row of a batch.
        """
        self.batch_size, self.seed, self.trim, self.document_mask = batch_size, seed, trim, document_mask
        self.rank, self.processes = rank, processes
        self.epoch = -1
        """The number of the pass over the rows that is going on; each iteration begins the next one."""
        self.shards = rows if isinstance(rows, Shards) else Shards(lambda *_: rows, [len(rows)])
        self._place = _START
        self._next = _START
        self._over = True

    def __len__(self) -> int:
        """Batches of the pass that is going on, or of the one to come."""
        return sum(-(-count // self.batch_size) for count in self.shards.counts(self.epoch + self._over))

    def __iter__(self) -> Iterator[Batch]:
        self.epoch, self._over = self.epoch + 1, False
        self._place, self._next = self._next, _START
        made = self._made(self._place)
        maker = ThreadPoolExecutor(1)  # of the next batch, while this one is trained on: a GPU would wait for it
        try:
            ahead = maker.submit(next, made, None)
            while (ready := ahead.result()) is not None:
                ahead = maker.submit(next, made, None)
                self._place, batch = ready
                yield batch
        finally:
            maker.shutdown(wait=False, cancel_futures=True)
        self._over = True

    def _made(self, place: _Place) -> Iterator[tuple[_Place, Batch]]:
        """The batches behind a place, each with its own."""
        counts, shards, first = self.shards.counts(self.epoch), self._order_of_shards(), place
        for ordinal in range(first.shard, len(shards)):
            announced = -(-counts[shards[ordinal]] // self.batch_size)
            rows = self.shards.rows(self.epoch, shards[ordinal])
            if ordinal + 1 < len(shards):
                self.shards.make_ahead(self.epoch, shards[ordinal + 1])
            lengths = rows.lengths
            batches = self._order(lengths, shards[ordinal])
            for within in range(first.within if ordinal == first.shard else 0, announced):
                numbers = batches[within % len(batches)]  # a shard that came out shorter begins once more
                place = _Place(place.handed_out + 1, ordinal, within + 1)
                yield place, self._batch(rows, numbers[self.rank :: self.processes], int(lengths[numbers].sum()))

    def end_pass(self) -> None:
        """Let the pass that is going on be over: whoever counts the batches asks for no more."""
        self._over = True

    def position(self) -> dict[str, int]:
        """Where the iteration stands."""
        return {"epoch": self.epoch, **self._place._asdict()}

    def go_on_from(self, position: dict[str, int]) -> None:
        """Make the next iteration go on at a position, or begin the next pass if nothing of that one is left."""
        self.epoch, self._over = position["epoch"] - 1, True
        self._next = _Place(*(position[name] for name in _Place._fields))
        if self._next.handed_out >= len(self):
            self.epoch, self._over, self._next = position["epoch"], False, _START

    def _order_of_shards(self) -> list[int]:
        order = np.arange(len(self.shards))
        if self.seed is not None:
            np.random.default_rng([self.seed, self.epoch, 0, 1]).shuffle(order[self.shards.growing :])
        numbers: list[int] = order.tolist()
        return numbers

    def _order(self, lengths: NDArray[np.int64], shard: int) -> list[NDArray[np.int64]]:
        """Row numbers of each batch of a shard's rows in this epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch, shard])
        numbers = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
        if not self.trim:
            return self._cut(numbers)
        batches = []
        for pool in np.array_split(numbers, range(self.batch_size * _POOL, len(numbers), self.batch_size * _POOL)):
            batches += self._cut(pool[np.argsort(lengths[pool], kind="stable")])
        return batches if rng is None else [batches[number] for number in rng.permutation(len(batches))]

    def _cut(self, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(numbers, range(self.batch_size, len(numbers), self.batch_size))

    def _batch(self, rows: Rows, numbers: NDArray[np.int64], all_tokens: int) -> Batch:
        read = rows.read(numbers)
        tokens = read.documents[:, 1:] >= 0
        width = int(tokens.sum(1).max(initial=1)) if self.trim else rows.seq_len
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
            positions=len(numbers) * rows.seq_len,
            documents=torch.from_numpy(documents) if self.document_mask else None,
        )
