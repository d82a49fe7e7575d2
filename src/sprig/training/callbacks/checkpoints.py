"""Keeps the run: checkpoints/best and checkpoints/last to use, checkpoints/last.ckpt to go on from."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch

from sprig.model.transformer import Transformer
from sprig.training.module import LanguageModelling


class Checkpoints(L.Callback):
    """Saves after each validation; `save(directory, transformer, metrics)` writes a checkpoint directory."""

    def __init__(
        self,
        directory: Path,
        save: Callable[[Path, Transformer, dict[str, Any]], None],
        monitor: str,
        mode: str,
        identity: dict[str, Any],
    ) -> None:
        """monitor is the metric by which "best" is decided, mode "min" or "max" says which way.

        identity says in JSON's types what is trained, and on what: a run goes on with the same and with nothing else.
        """
        self.identity = {name: json.dumps(value, sort_keys=True) for name, value in identity.items()}
        self.directory, self.save, self.monitor, self.mode = directory, save, monitor, mode
        self.best: float | None = None
        self.best_step: int | None = None
        self._saved_at = 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know of the best so far."""
        return {"best": self.best, "best_step": self.best_step, "identity": self.identity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]

    def check_resumable(self, path: Path) -> None:
        """ValueError, in two lines at most, for a file that is no state of a run, or of a run that was another.

        With other data, what was trained on could be held out now; other settings would be overruled by the state.
        """
        try:
            kept = torch.load(path, weights_only=True, mmap=True, map_location="cpu")["callbacks"][self.state_key]
            identity = dict(kept["identity"])
        except Exception as error:  # of zip files, of unpickling, of what is in them: too many kinds to name
            raise ValueError(
                f"{path} is damaged, or no state of a run of Sprig's ({type(error).__name__}).\n"
                f"What it had learnt may still be in {path.parent / 'best'} and {path.parent / 'last'}."
            ) from error
        changed = [name for name, value in self.identity.items() if identity.get(name) != value]
        if changed:
            raise ValueError(
                f"This is not what the run was trained on and with (changed: {', '.join(changed)}), so it cannot go "
                f"on: restore the data and the settings, or start a new run."
            )

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the newest state, and the best if it is."""
        assert isinstance(pl_module, LanguageModelling)
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        value = metrics.get(self.monitor, math.nan)
        better = self.best is None or (value < self.best if self.mode == "min" else value > self.best)
        if better and math.isfinite(value):
            self.best, self.best_step = value, trainer.global_step
            self._save("best", trainer, pl_module, metrics)
        self.save_last(trainer, pl_module, metrics)
        if self.monitor not in metrics:
            raise ValueError(f"callbacks.monitor={self.monitor!r} was not measured. There are: {', '.join(metrics)}.")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what no validation has saved: a run never ends with nothing to show for it."""
        assert isinstance(pl_module, LanguageModelling)
        if self._saved_at != trainer.global_step:
            self.save_last(trainer, pl_module, {})

    def save_last(self, trainer: L.Trainer, pl_module: LanguageModelling, metrics: dict[str, float]) -> None:
        """Save the newest state, to use (checkpoints/last) and to go on from (checkpoints/last.ckpt)."""
        self._saved_at = trainer.global_step
        self._save("last", trainer, pl_module, metrics)
        beside = self.directory / "last.ckpt.part"
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            beside.replace(self.directory / "last.ckpt")

    def _save(self, name: str, trainer: L.Trainer, module: LanguageModelling, metrics: dict[str, float]) -> None:
        whole = module.whole_transformer()
        if trainer.is_global_zero:
            self.save(self.directory / name, whole, self._facts(module, metrics))

    @staticmethod
    def _facts(module: LanguageModelling, metrics: dict[str, float]) -> dict[str, Any]:
        known = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        return {"step": module.global_step, "epoch": module.epoch_number, "metrics": known}
