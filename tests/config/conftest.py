"""Runs of the main job inside the test's own process, composed as the command line composes them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sprig.config import schema
from sprig.config.command_line import CONF
from sprig.config.schema import TrainConfig

SMALL = [
    "name=test", "model=tiny", "data.count=120", "data.vocab_size=300", "data.batch_size=16", "logger=csv",
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
    "callbacks.progress=false", "callbacks.held_out_headers=0", "prompts=[]",
]  # fmt: skip


def composed(verb: str, *overrides: str) -> object:
    """The settings that the command line would make of overrides."""
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_object(compose(verb, list(overrides)))


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., TrainConfig]:
    """Settings of a run of seconds; later overrides win."""

    def make(*overrides: str, base: list[str] = SMALL) -> TrainConfig:
        keys = {override.partition("=")[0] for override in overrides}
        kept = [override for override in base if override.partition("=")[0] not in keys]
        return composed("train", *kept, *overrides, f"output_dir={tmp_path}")  # type: ignore[return-value]

    return make
