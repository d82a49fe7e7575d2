"""The prepared rows as Lightning asks for them."""

from typing import Any

import lightning as L
import torch

from sprig.data.loading import Batch, BatchLoader
from sprig.data.packing import Rows
from sprig.data.shards import Shards


class RowsDataModule(L.LightningDataModule):
    """Training rows in a new order each epoch, validation rows in their own."""

    def __init__(
        self,
        train: Rows | Shards,
        val: Rows,
        batch_size: int,
        *,
        seed: int | None,
        trim: bool,
        document_mask: bool = False,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """seed draws the order of the training rows, None leaves them in their own; the rest as in BatchLoader."""
        super().__init__()
        rest: Any = {"trim": trim, "document_mask": document_mask, "rank": rank, "processes": processes}
        self._train = BatchLoader(train, batch_size, seed=seed, **rest)
        self._val = BatchLoader(val, batch_size, seed=None, **rest)

    def train_dataloader(self) -> BatchLoader:
        """Batches to train on."""
        return self._train

    def val_dataloader(self) -> BatchLoader:
        """Batches to measure on."""
        return self._val

    def state_dict(self) -> dict[str, Any]:
        """Where the training rows stand.

        Lightning keeps the states of loaders by itself, but loses them when the loaders were asked for before the
        checkpoint was read, as the learning rate's schedule has to.
        """
        state = self._train.state_dict()
        if self.trainer is not None and self.trainer.is_last_batch:  # of a pass that limit_train_batches cuts short
            state["handed_out"] = len(self._train)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the batch after the last one that was trained on."""
        self._train.load_state_dict(state_dict)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Lightning moves tensors and mappings by itself, but no frozen dataclass."""
        return batch.to(device)
