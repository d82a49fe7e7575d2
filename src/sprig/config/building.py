"""Settings to objects: the Trainer, its loggers and its callbacks, in the one place that wires them."""

import netrc
import os
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy

from sprig.checkpoint import states
from sprig.config.schema import LoggerConfig
from sprig.training.config import TrainerConfig
from sprig.training.metrics_file import MetricsFile


def quiet_lightning() -> None:
    """Silence advice that does not apply here: our loader reads memory, our rows are shuffled, one log is ours."""
    import logging

    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*The number of training batches.*",
        ".*GPU available but not used.*",
        ".*LeafSpec.*",
        ".*your dataloader is not resumable.*",  # the datamodule is
        ".*sync_dist=True.*",  # validation figures are those of all processes before they are logged
    ):
        warnings.filterwarnings("ignore", message)


def device_of(accelerator: str) -> str:
    """The kind of device ("cpu", "cuda", "mps") that Lightning picks for an accelerator setting.

    ValueError for one that there is not, or not on this machine.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if accelerator == "auto" or (accelerator == "gpu" and there[0] != "cpu"):
        return there[0]
    if accelerator not in there:
        raise ValueError(f"accelerator={accelerator!r} is not on this machine. There are: auto, {', '.join(there)}.")
    return accelerator


class StateFiles(TorchCheckpointIO):
    """Writes states as `sprig.checkpoint.states` does; Lightning's own way leads through the temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write what the trainer has dumped to a path that `states.state_path` gave."""
        states.write_state(Path(path), checkpoint)


def build_trainer(
    config: TrainerConfig,
    precision: str,
    loggers: list[Logger],
    callbacks: list[L.Callback],
    directory: Path,
    reload_dataloaders_every_n_epochs: int = 0,
) -> L.Trainer:
    """Lightning's Trainer with our callbacks in place of its own bar, summary and checkpoints.

    Where epochs differ in their rows, Lightning has to ask for their number each time.
    """
    return L.Trainer(
        default_root_dir=directory,
        logger=loggers,
        callbacks=callbacks,
        plugins=[StateFiles(), _environment()],
        precision=precision,  # type: ignore[arg-type]
        strategy=_strategy(config),
        devices=config.devices,
        num_nodes=config.num_nodes,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=reload_dataloaders_every_n_epochs,
        max_epochs=-1 if config.max_epochs is None else config.max_epochs,
        **{
            name: getattr(config, name)
            for name in (
                "max_steps",
                "max_time",
                "accelerator",
                "accumulate_grad_batches",
                "gradient_clip_val",
                "check_val_every_n_epoch",
                "log_every_n_steps",
                "deterministic",
                "detect_anomaly",
                "overfit_batches",
                "limit_train_batches",
                "limit_val_batches",
                "val_check_interval",
            )
        },
    )


def _environment() -> ClusterEnvironment:
    """Who has started this process: torchrun, SLURM, or nobody else.

    Lightning would ask MPI as well, and by starting it: where MPI is installed but does not work, that ends the
    process. And it would save and requeue a SLURM job in its own way, without `resume=`.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if SLURMEnvironment.detect() else LightningEnvironment()


def _strategy(config: TrainerConfig) -> Strategy | str:
    processes = config.devices * config.num_nodes
    if processes == 1:
        return "auto"
    if config.strategy == "fsdp":  # PyTorch's second one: parameters keep their shape, which Muon has to know
        return ModelParallelStrategy(processes, 1, save_distributed_checkpoint=False)
    return "ddp"


def build_loggers(
    config: LoggerConfig, directory: Path, name: str, plain: dict[str, Any], last_step: int | None = None
) -> list[Logger]:
    """metrics.csv always, and beside it what config names; name and plain are the run's name and configuration.

    A run that is gone on with says after which step.
    """
    loggers: list[Logger] = [MetricsFile(directory / "metrics.csv", last_step)]
    if config.name == "tensorboard":
        # It does not show the steps from there on that an earlier part has logged.
        loggers.append(TensorBoardLogger(directory, name="", version="", purge_step=last_step))
    if config.name == "wandb":
        loggers.append(_wandb(config, directory, name, plain))
    return loggers


def _wandb(config: LoggerConfig, directory: Path, name: str, plain: dict[str, Any]) -> Logger:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    offline = config.offline if config.offline is not None else not _logged_in_to_wandb()
    os.environ.setdefault("WANDB_SILENT", "true")
    kept = directory / "wandb" / "run-id"  # with it, a run that is gone on with stays one run there
    run = wandb.init(
        id=kept.read_text(encoding="utf-8").strip() if kept.exists() else None,
        resume="allow",
        project=config.project,
        name=f"{name}/{directory.name}",
        dir=str(directory),
        mode="offline" if offline else "online",
        config=plain,
        # The command line and the machine's particulars are nobody else's business; neither is the code.
        settings=wandb.Settings(x_disable_meta=True, save_code=False, console="off", silent=True, init_timeout=20),
        reinit="finish_previous",
    )
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(run.id, encoding="utf-8")
    # Else the x-axis is a count of rows, which grows where a run goes on from a state before its last one. Lightning
    # defines it for runs that it has begun itself.
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return WandbLogger(experiment=run)


def finish_wandb(failed: bool) -> None:
    """End the W&B run, if there is one, with the exit code that the job has."""
    import sys

    if "wandb" in sys.modules:
        import wandb

        if wandb.run is not None:
            wandb.finish(exit_code=int(failed))


def _logged_in_to_wandb() -> bool:
    """Whether an API key is at hand and WANDB_MODE does not say otherwise; asks nobody."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any("wandb" in host for host in hosts)
