"""Train a model: `python src/train.py model=small trainer.max_epochs=5`; `--help` shows what can be set."""

from pathlib import Path

from sprig.config.entry import run
from sprig.config.schema import TrainConfig


def train(settings: TrainConfig, directory: Path) -> float | None:
    """One run; the heavy libraries are imported only when there is something to do."""
    from sprig.config.launching import launch, processes_to_launch

    if processes_to_launch(settings):
        return launch(settings, directory)
    from sprig.config.training import train

    return train(settings, directory)


if __name__ == "__main__":
    run("train", train)
