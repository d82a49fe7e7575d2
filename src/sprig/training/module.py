"""One step of training and of validation, as Lightning asks for them."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sprig.data.loading import Batch
from sprig.model.transformer import Transformer
from sprig.training.accumulation import Window, window_closed
from sprig.training.config import OptimConfig
from sprig.training.loss import LinearCrossEntropy
from sprig.training.metrics import Metrics
from sprig.training.optim import build_optimizer
from sprig.training.processes import Processes
from sprig.training.random_numbers import RandomNumbers
from sprig.training.schedule import Progress, learning_rate_factor
from sprig.training.sharding import is_sharded, put_together, shard
from sprig.training.skipping import Skipping


class LanguageModelling(L.LightningModule):
    """Trains a Transformer to guess the next token.

    A step whose gradients are not finite is left out and counted: the weights stay as they are. After ten in a row
    the run is asked to end, and `diverged` says why.

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
        processes: Processes | None = None,
        optimizer_dtype: torch.dtype = torch.float32,
    ) -> None:
        """optimizer_dtype is what Muon orthogonalises in: bfloat16 where the machine multiplies it fast."""
        super().__init__()
        self.transformer = transformer
        # A part of the module, so that Lightning moves it, saves it with the state and loads it again.
        self.averaged = None if optim.ema is None else deepcopy(transformer).requires_grad_(False)
        """The moving average of the weights, where optim.ema asks for one."""
        self.loss = LinearCrossEntropy(optim.z_loss)
        self.metrics = Metrics(metrics, token_bytes)
        self.tokens_seen = 0
        """Training tokens of all processes since the start of the run, padding not counted."""
        self.train_loss: Tensor | None = None
        """Of this process's rows in the last step, on the device: reading it waits for the step to end."""
        self._skipping = Skipping()
        self._processes = processes or Processes()
        self._optim = optim
        self.optimizer_dtype = optimizer_dtype
        self._nats: Tensor | float = 0.0  # of this process's rows since the last validation, on the device
        self._counted: Tensor | float = 0.0  # their tokens
        self._window = Window()
        self._lr = 0.0  # of the last step
        self._progress: Progress | None = None
        self._kept: dict[str, Any] | None = None  # of an earlier part of the run
        self._random_numbers = RandomNumbers(self._processes)
        # DDP would send all of them from rank 0 before each step, and they are constants.
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def configure_model(self) -> None:
        """Leave each process with its part of the weights, where the strategy shards them."""
        if self.device_mesh is None or is_sharded(self.transformer):
            return
        mesh = self.device_mesh["data_parallel"]
        shard(self.transformer, mesh, trained=True)
        if self.averaged is not None:
            shard(self.averaged, mesh, trained=False)

    @property
    def _measured(self) -> Transformer:
        return self.transformer if self.averaged is None else self.averaged

    def whole_transformer(self) -> Transformer:
        """The model to measure and save, the average where there is one, with all of its weights, for rank 0 to use.

        Where they are sharded, all processes have to call this, and it is on the CPU: a GPU may not hold it.
        """
        if not is_sharded(self._measured):
            return self._measured
        return put_together(self._measured, self._processes.rank).train(self.transformer.training)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss whose mean over processes and accumulated batches is that of all their tokens, in nats a token.

        It is so for batches of as many tokens as the first of the step; what others have more or less is made good
        when their gradients are there.
        """
        hidden = self.transformer.hidden(batch.input_ids, batch.documents)
        loss, nats = self.loss(hidden, self.transformer.lm_head.weight, batch.targets)
        self.tokens_seen += batch.all_tokens
        self.train_loss = nats
        finite = nats.isfinite()
        self._nats += torch.where(finite, nats * batch.tokens, 0.0)
        self._counted += finite * batch.tokens
        self._window.add(nats.detach() * batch.tokens, batch.all_tokens)
        batches = self.trainer.accumulate_grad_batches
        return loss * (self._processes.count * batches * batch.tokens / self._window.first)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients' norm; leave the step out if it is not finite."""
        if self._window.tokens != self._window.first:
            gradients = [parameter.grad for parameter in self.transformer.parameters() if parameter.grad is not None]
            torch._foreach_mul_(gradients, self._window.first / self._window.tokens)
        norm = clip_grad_norm_(self.transformer.parameters(), gradient_clip_val or float("inf"))
        place = f"epoch {self.epoch_number} at batch {self.trainer.fit_loop.epoch_loop.batch_idx + 1}"
        self._skipping.judge(norm, optimizer, place, later=self.device.type == "cuda")
        if self._skipping.diverged:
            self.trainer.should_stop = True

    @property
    def skipped_steps(self) -> int:
        """Whose gradients were not finite; reading it waits for the last step."""
        self._skipping.read()
        return self._skipping.skipped

    @property
    def diverged(self) -> str | None:
        """Why the run was asked to end, if it was."""
        self._skipping.read()
        return self._skipping.diverged

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Take a step, and bring the average of the weights up to date before anything is saved.

        The first steps count for more than optim.ema says, with a decay of (1 + step) / (10 + step) at most, as in
        TensorFlow's ExponentialMovingAverage: a short run's average would be its initial weights.
        """
        self._lr = optimizer.param_groups[0]["lr"]
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.averaged is None:
            return
        assert self._optim.ema is not None
        step = self.global_step + 1
        # Not AveragedModel: it reads its own count of steps, which waits for the device.
        average = get_ema_multi_avg_fn(min(self._optim.ema, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        average(list(self.averaged.parameters()), list(self.transformer.parameters()), step)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the step that the batch has ended; Lightning's own log would keep its figures for a later one."""
        if not window_closed(self.trainer):
            return
        window, self._window = self._window, Window()
        if self.global_step % self.trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        mean = self.trainer.strategy.reduce(window.nats / window.tokens, reduce_op="sum")
        figures = {"epoch": self.trainer.current_epoch, "train/lr": self._lr, "train/step_loss": float(mean)}
        for logger in self.trainer.loggers:
            logger.log_metrics(figures, step=self.global_step - 1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a held-out batch."""
        self.metrics.update(self._measured(batch.input_ids, documents=batch.documents), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, and the mean training loss since the last validation."""
        figures = {f"val/{name}": value for name, value in self.metrics.compute().items()}
        self.metrics.reset()
        nats, counted = self._trained_on()
        if counted:
            figures["train/loss"] = nats / counted
        self._nats, self._counted = 0.0, 0.0
        self.log_dict(figures)

    def configure_optimizers(self) -> Any:
        """The optimiser and a learning rate that follows the schedule step by step."""
        optimizer = build_optimizer(self.transformer, self._optim, self.optimizer_dtype)
        trainer = self.trainer
        total = trainer.estimated_stepping_batches  # infinite or -1 where only the clock ends the run
        timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
        self._progress = progress = Progress(
            total if total > 0 else math.inf,
            partial(_clock, timers[0]) if timers else None,
            self._processes.furthest,
            [trainer.max_epochs, trainer.max_steps, trainer.limit_train_batches, trainer.accumulate_grad_batches],
        )
        self._take_up_progress()
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate_factor(progress(step), self._optim.warmup, self._optim.warmdown),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _take_up_progress(self) -> None:
        """Let the schedule go on as it was, once it is there and a state has been read; either may be first."""
        if self._progress is not None and self._kept is not None:
            self._progress.go_on(self._kept)

    @property
    def epoch_number(self) -> int:
        """The epoch that is trained or measured, counted from 1; once training is over, the one that ended it."""
        over = self.trainer.state.fn != TrainerFn.FITTING
        return max(1, self.trainer.current_epoch + (0 if over else 1))

    def on_train_start(self) -> None:
        """Let a resumed run draw (dropout) what an uninterrupted one would."""
        self._random_numbers.go_on(self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what Lightning does not."""
        nats, counted = self._trained_on()
        checkpoint["sprig"] = {
            "tokens_seen": self.tokens_seen,
            "nats": nats,
            "counted": counted,
            "skipped_steps": self.skipped_steps,
            **(self._progress or Progress(math.inf)).state(),
            **self._random_numbers.states(self.device),
        }

    def _trained_on(self) -> tuple[float, float]:
        """Nats and tokens of all processes since the last validation."""
        nats, counted = zip(*self._processes.gather((float(self._nats), float(self._counted))), strict=True)
        return sum(nats), sum(counted)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up."""
        kept = checkpoint["sprig"]
        self.tokens_seen, self._skipping.skipped = kept["tokens_seen"], kept["skipped_steps"]
        self._nats, self._counted = (0.0, 0.0) if self._processes.rank else (kept["nats"], kept["counted"])
        self._random_numbers.take_up(kept, self.device)
        self._kept = kept
        self._take_up_progress()


def _clock(timer: Timer) -> tuple[float, float]:
    """Seconds of training so far, and the most there may be."""
    elapsed, remaining = timer.time_elapsed(), timer.time_remaining()
    assert remaining is not None, "a timer is there for trainer.max_time only"
    return elapsed, elapsed + remaining
