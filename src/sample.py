"""Let a trained model write code: `python src/sample.py ckpt=last prompt='def multiply(a, b):'`."""

from pathlib import Path

from sprig.config.entry import run
from sprig.config.schema import SampleConfig


def sample(settings: SampleConfig, directory: Path) -> None:
    """One call; the heavy libraries are imported only when there is something to do."""
    from sprig.config.sampling import sample

    sample(settings, directory)


if __name__ == "__main__":
    run("sample", sample)
