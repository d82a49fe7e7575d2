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
        self._gone_on_with = -1

    def train_dataloader(self) -> BatchLoader:
        """Batches to train on; Lightning asks for them when a pass begins, where passes differ in length.

        A run that goes on asks for them once or twice for what is left of its pass, even where nothing is.
        """
        if self.trainer is None or self.trainer.current_epoch > self._gone_on_with:
            self._train.end_pass()
        return self._train

    def val_dataloader(self) -> BatchLoader:
        """Batches to measure on."""
        return self._val

    def state_dict(self) -> dict[str, Any]:
        """Where the training rows stand.

        Lightning would keep the states of loaders that have a state_dict, but loses them where the loaders were asked
        for before the checkpoint was read, and knows of no pass that limit_train_batches has cut short.
        """
        position = self._train.position()
        if self.trainer is not None and self.trainer.is_last_batch:
            if self.trainer.current_epoch == self.trainer.fit_loop.epoch_progress.current.ready:  # the run is over
                return dict.fromkeys(position, 0) | {"epoch": position["epoch"] + 1}
            position["handed_out"] = len(self._train)
        return position

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the batch after the last one that was trained on."""
        self._train.go_on_from(state_dict)
        self._gone_on_with = state_dict["epoch"]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Lightning moves tensors and mappings by itself, but no frozen dataclass."""
        return batch.to(device)
