"""One step of training and of validation, as Lightning asks for them."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from sprig.data.loading import Batch
from sprig.model.transformer import Transformer
from sprig.training.config import OptimConfig
from sprig.training.loss import mean_loss
from sprig.training.metrics import Metrics
from sprig.training.optim import build_optimizer
from sprig.training.schedule import learning_rate_factor


class LanguageModelling(L.LightningModule):
    """Trains a Transformer to guess the next token.

    Logs train/step_loss and train/lr every trainer.log_every_n_steps; after each validation its metrics as
    "val/<name>" and train/loss, the mean over the tokens trained on since the one before.
    """

    def __init__(
        self,
        transformer: Transformer,
        optim: OptimConfig,
        metrics: Sequence[str],
        token_bytes: Sequence[int],
        *,
        compile: bool = False,
        optimizer_dtype: torch.dtype = torch.float32,
    ) -> None:
        """optimizer_dtype is what Muon orthogonalises in: bfloat16 where the machine multiplies it fast."""
        super().__init__()
        self.transformer = transformer
        self.metrics = Metrics(metrics, token_bytes)
        self.tokens_seen = 0
        """Training tokens since the start of the run, padding not counted."""
        self.train_loss: Tensor | None = None
        """Of the last step, on the device: reading it waits for the step to end."""
        self._optim = optim
        self._optimizer_dtype = optimizer_dtype
        # The compiled function shares the weights; it is kept out of the module tree, where it would double names.
        self._forward = [torch.compile(transformer) if compile else transformer]
        self._nats: Tensor | float = 0.0  # trained on since the last validation, on the device
        self._tokens_at_validation = 0
        self._random_state: Tensor | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss of a batch in nats a token."""
        loss = mean_loss(self._logits(batch), batch.targets)
        self.tokens_seen += batch.tokens
        self.train_loss = loss.detach()
        self._nats += self.train_loss * batch.tokens
        if self.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.log("train/lr", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
            self.log("train/step_loss", self.train_loss)
        return loss

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self._forward[0](batch.input_ids, documents=batch.documents)
        return logits

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a held-out batch."""
        self.metrics.update(self._logits(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, and the mean training loss since the last validation."""
        figures = {f"val/{name}": value for name, value in self.metrics.compute().items()}
        self.metrics.reset()
        tokens = self.tokens_seen - self._tokens_at_validation
        if tokens:
            figures["train/loss"] = float(self._nats) / tokens
        self._nats, self._tokens_at_validation = 0.0, self.tokens_seen
        self.log_dict(figures)

    def configure_optimizers(self) -> Any:
        """The optimiser and a learning rate that follows the schedule step by step."""
        optimizer = build_optimizer(self.transformer, self._optim, self._optimizer_dtype)
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(step, total, self._optim.warmup, self._optim.warmdown),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def epoch_number(self) -> int:
        """The epoch that is trained or measured, counted from 1; once training is over, the one that ended it."""
        over = self.trainer.state.fn != TrainerFn.FITTING
        return max(1, self.trainer.current_epoch + (0 if over else 1))

    def on_train_start(self) -> None:
        """Let a resumed run draw (dropout) what an uninterrupted one would."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state.cpu())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what Lightning does not."""
        checkpoint["sprig"] = {
            "tokens_seen": self.tokens_seen,
            "tokens_at_validation": self._tokens_at_validation,
            "nats": float(self._nats),
            "random_state": torch.get_rng_state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up."""
        kept = checkpoint["sprig"]
        self.tokens_seen, self._tokens_at_validation = kept["tokens_seen"], kept["tokens_at_validation"]
        self._nats, self._random_state = kept["nats"], kept["random_state"]
