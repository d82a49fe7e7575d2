"""Lets the model write held-out functions after each validation, and logs how it did."""

import math
import sys
from collections.abc import Callable

import lightning as L

from sprig.model.transformer import Transformer
from sprig.training.module import LanguageModelling


class HeldOutFunctions(L.Callback):
    """Logs what `judge(model)` returns as "val/<name>"; training does not know how functions are judged."""

    def __init__(self, judge: Callable[[Transformer], dict[str, float]]) -> None:
        self.judge = judge
        self._names: list[str] = []  # of the figures of the validation before

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Judge the model as it is now."""
        assert isinstance(pl_module, LanguageModelling)
        # Every process has to log what decides which model is best.
        model = pl_module.whole_transformer()
        # Put together from its parts, it is on the CPU, where writing takes far longer.
        figures: dict[str, float] = {}
        if trainer.is_global_zero:
            try:
                figures = self.judge(model.to(pl_module.device))
                self._names = list(figures)
            except OSError as error:  # a full disk does not cost a run
                figures = dict.fromkeys(self._names, math.nan)
                print(
                    f"The held-out functions could not be run in the temporary folder ({error.strerror or error}). "
                    "This validation goes on without their figures.",
                    file=sys.stderr,
                )
        for name, value in trainer.strategy.broadcast(figures).items():
            pl_module.log(f"val/{name}", value)
