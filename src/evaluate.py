"""Measure a trained model on code that it has not seen: `python src/evaluate.py ckpt=last`."""

from pathlib import Path

from sprig.config.entry import run
from sprig.config.schema import EvaluateConfig


def evaluate(settings: EvaluateConfig, directory: Path) -> None:
    """One call; the heavy libraries are imported only when there is something to do."""
    from sprig.config.evaluating import evaluate

    evaluate(settings, directory)


if __name__ == "__main__":
    run("evaluate", evaluate)
