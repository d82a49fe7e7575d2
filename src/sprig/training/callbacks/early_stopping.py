"""Ends a run whose validations no longer bring a gain."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping as Lightnings
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason


class EarlyStopping(Lightnings):
    """Lightning's, but the patience of a run that goes on is what its settings say, and one that it ended is over."""

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        """patience is how many validations in a row may bring no gain."""
        # At an epoch's end, where a run goes on, nothing is measured yet.
        super().__init__(monitor, mode=mode, patience=patience, verbose=False, check_on_train_epoch_end=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was counted."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Train no further where it had ended the run: its state is saved before anybody acts on it."""
        not_finite = self.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC
        trainer.should_stop = trainer.should_stop or not_finite or self.wait_count >= self.patience
