"""The typed schemas behind conf/: a wrong key or type is refused before any work is done.

Each room keeps the dataclass of its own settings; here they are put together and registered with Hydra.
Nothing slow is imported: `--help` reads this.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from sprig.config import run_directory, vocabulary
from sprig.data import sources
from sprig.data.config import DataConfig
from sprig.generation.config import SamplingConfig
from sprig.model.config import ModelConfig
from sprig.training.config import CallbacksConfig, OptimConfig, TrainerConfig


@dataclass
class ModelSettings(ModelConfig):
    """The shape of a fresh model, or the model to start from."""

    init_from: str | None = None
    """A Hugging Face directory of Qwen3, Qwen2 or Llama kind: its shape, weights and tokenizer are taken."""

    @property
    def shape(self) -> ModelConfig:
        """The shape alone."""
        return ModelConfig(**{field.name: getattr(self, field.name) for field in fields(ModelConfig)})


@dataclass
class MetricsConfig:
    """What is measured on the validation rows."""

    names: list[str] = MISSING


@dataclass
class LoggerConfig:
    """Where figures go besides metrics.csv and trace.json, which are always written."""

    name: str = "wandb"
    """wandb, tensorboard or csv (nothing more)."""
    project: str = "sprig"
    offline: bool | None = None
    """Of wandb: null is online only where the user is logged in; true never, false always."""


@dataclass
class DebugConfig:
    """For finding faults."""

    traceback: bool = False


@dataclass
class TrainConfig:
    """Everything that `train.py` takes."""

    name: str = MISSING
    """The folder of output_dir that the run goes to."""
    seed: int = 0
    """Draws the initial weights, the order of the rows, and dropout."""
    output_dir: str = "outputs"
    cache_dir: str = "${output_dir}/cache"
    """Where prepared data is kept for the next time; it can be removed at any time."""
    resume: str | None = None
    """last, or the directory of an interrupted run: go on with it, its settings and its directory."""
    prompts: list[str] = field(default_factory=list)
    """Continued at the end of the run, as the sixth stage, after a held-out header or beginning."""
    data: DataConfig = MISSING
    model: ModelSettings = MISSING
    optim: OptimConfig = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)  # MISSING breaks on unions in OmegaConf 2.3
    metrics: MetricsConfig = MISSING
    logger: LoggerConfig = MISSING
    callbacks: CallbacksConfig = MISSING
    debug: DebugConfig = field(default_factory=DebugConfig)


@dataclass
class SampleConfig(SamplingConfig):
    """Everything that `sample.py` takes."""

    name: str = MISSING
    ckpt: str = MISSING
    prompt: Any = MISSING
    """A prompt, or a list of them."""
    format: str = "text"
    trace: bool = False
    output_dir: str = "outputs"
    accelerator: str = "auto"
    debug: DebugConfig = field(default_factory=DebugConfig)


@dataclass
class PrepareConfig:
    """Everything that `prepare.py` takes."""

    name: str = MISSING
    data: DataConfig = MISSING
    model: ModelSettings = MISSING
    """The model to prepare for: data.vocab_size=auto goes by its size, model.init_from has a tokenizer of its own."""
    output_dir: str = "outputs"
    cache_dir: str = "${output_dir}/cache"
    debug: DebugConfig = field(default_factory=DebugConfig)


@dataclass
class EvaluateConfig:
    """Everything that `evaluate.py` takes."""

    name: str = MISSING
    ckpt: str = MISSING
    data: DataConfig | None = None
    """null: the checkpoint's own validation split."""
    stride: int | None = None
    """Measure each document alone, in windows of the model's rows that begin so many tokens after each other: a token
    sees at least data.seq_len - stride before it, where its document has them. null: rows as in training."""
    metrics: MetricsConfig = MISSING
    held_out_headers: int = 200
    output_dir: str = "outputs"
    cache_dir: str = "${output_dir}/cache"
    accelerator: str = "auto"
    precision: str = "auto"
    debug: DebugConfig = field(default_factory=DebugConfig)


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "prepare": PrepareConfig,
    "sample": SampleConfig,
    "evaluate": EvaluateConfig,
}


def register() -> None:
    """Make the schemas known to Hydra, under names that no file in conf/ has, and what those files compute."""
    vocabulary.register()
    run_directory.register()
    store = ConfigStore.instance()
    # For each group that it lists, Hydra copies its repository, and with it every schema: half of the time of --help.
    vars(store)["__deepcopy__"] = lambda _: store
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    for group, schema in {
        "model": ModelSettings,
        "optim": OptimConfig,
        "trainer": TrainerConfig,
        "metrics": MetricsConfig,
        "logger": LoggerConfig,
        "callbacks": CallbacksConfig,
    }.items():
        store.store(group="schema", name=group, node=schema)
    for source in sources.names():
        store.store(group="schema/data", name=source, node=sources.load(source).Config)
