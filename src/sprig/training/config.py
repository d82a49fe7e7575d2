"""The settings of training; they are also the typed schemas of the Hydra groups optim, trainer and callbacks."""

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OptimConfig:
    """The optimiser and its schedule over the run."""

    name: str = "muon"
    """muon: Muon for the matrices inside the layers, AdamW for the rest; adamw: AdamW for everything."""
    lr: float = 0.02
    """Peak learning rate: of Muon's matrices, or of everything under adamw."""
    adamw_lr: float = 0.01
    """Peak learning rate of what muon leaves to AdamW: embeddings, gains and biases."""
    weight_decay: float = 0.01
    """Decoupled, on matrices only."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    momentum: float = 0.95
    """Muon's, Nesterov."""
    z_loss: float = 0.0
    """Weight of the mean squared log of the softmax's denominator in the loss; 0: none."""
    ema: float | None = None
    """Decay of a moving average of the weights, such as 0.999: it is what is then measured, saved and generated with,
    while training goes on with the weights themselves. null: no average."""
    warmup: float = 0.02
    """The part of all steps in which the learning rate rises to its peak, in [0, 1)."""
    warmdown: float = 0.6
    """The part of all steps at the end in which it falls linearly to zero, in [0, 1]."""

    def check(self) -> None:
        """Raise ValueError, in one sentence, for a value out of its range."""
        if self.name not in ("muon", "adamw"):
            raise ValueError(f"optim.name={self.name!r} is no optimiser: choose muon or adamw.")
        if not (0 < self.lr < math.inf and 0 < self.adamw_lr < math.inf):  # nan is refused as well
            raise ValueError(f"optim.lr={self.lr} and optim.adamw_lr={self.adamw_lr} must be above 0 and finite.")
        if self.weight_decay < 0:
            raise ValueError(f"optim.weight_decay={self.weight_decay} must not be negative.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optim.betas={self.betas} must be two numbers in [0, 1).")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"optim.momentum={self.momentum} must be in [0, 1).")
        if not 0 <= self.z_loss < math.inf:
            raise ValueError(f"optim.z_loss={self.z_loss} must be 0 (none) or more, and finite.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"optim.ema={self.ema} must be between 0 and 1, both excluded, or null (no average).")
        if self.warmup < 0 or self.warmdown < 0 or self.warmup + self.warmdown > 1:
            raise ValueError(
                f"optim.warmup={self.warmup} and optim.warmdown={self.warmdown} are parts of the run: "
                f"none negative, together at most 1."
            )


@dataclass
class TrainerConfig:
    """Lightning's Trainer in its own names, and how the model is run."""

    max_epochs: int | None = 5
    max_steps: int = -1
    """-1: as many as max_epochs takes."""
    max_time: str | None = None
    """DD:HH:MM:SS of training, validations in between included: the learning rate has fallen by then."""
    accelerator: str = "auto"
    strategy: str = "auto"
    """ddp: each process has the whole model and a part of each batch; fsdp: a part of the weights as well; auto: ddp
    where there are several processes."""
    devices: int = 1
    """Processes on a machine, one for each GPU; -1: as many as it has GPUs, or as torchrun or SLURM has started."""
    num_nodes: int = 1
    """Machines; torchrun or SLURM has to start the processes on them."""
    precision: str = "auto"
    """One of Lightning's, or auto: bf16-mixed where the machine multiplies bfloat16 fast, else 32-true."""
    compile: Any = "auto"
    """true, false, or auto: compile the layers (torch.compile) if data.layout=packed and the run is long enough to pay
    for it; padded rows differ in shape."""
    activation_checkpointing: bool = False
    """Keep for the backward pass what enters each layer only and compute the rest again: less memory, slower steps."""
    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = 1.0
    val_check_interval: int | float | None = None
    """Validate every so many batches, or every such part of an epoch; null: after each epoch."""
    check_val_every_n_epoch: int | None = 1
    limit_train_batches: int | float | None = None
    """1 is one batch, 1.0 the whole epoch, as for the two that follow."""
    limit_val_batches: int | float | None = None
    overfit_batches: int | float = 0.0
    log_every_n_steps: int = 10
    deterministic: bool = False
    detect_anomaly: bool = False


@dataclass
class CallbacksConfig:
    """What watches the run."""

    progress: bool = True
    """Bars on a terminal, plain lines elsewhere."""
    monitor: str = "val/loss"
    """The validation metric that decides which checkpoint is best."""
    mode: str = "min"
    """min: lower is better; max: higher is better."""
    save_every_minutes: float | None = 5.0
    """Save between two validations as well, when so many minutes have passed since the last save; null: not."""
    save_every_steps: int | None = None
    """The same after so many steps."""
    early_stopping_patience: int | None = None
    """Stop after so many validations without a gain; null: never."""
    held_out_headers: int = 200
    """Generated snippets of the validation split to write from their headers, for val/exact and val/runs; 0: none."""
