"""Starting from the weights of others: the directory of model.init_from has the shape, the weights, the tokenizer."""

from dataclasses import replace
from pathlib import Path

from sprig import checkpoint
from sprig.config.schema import ModelSettings, TrainConfig


def start_of(settings: TrainConfig, directory: Path) -> checkpoint.Checkpoint | None:
    """The model that the run in directory starts from, in training mode; None for a fresh one.

    ValueError, with file and reason, for one that is not of our kind. A run that goes on has its weights in its own
    state: where the model it began with is gone, the checkpoint of the run has the same shape and tokenizer.
    """
    place = settings.model.init_from
    if place is None:
        return None
    own = directory / "checkpoints" / "last"
    gone = settings.resume is not None and own.is_dir() and not Path(place).expanduser().is_dir()
    start = checkpoint.load_from_elsewhere(str(own) if gone else place)
    start.transformer.train()
    return start


def settings_from(start: checkpoint.Checkpoint, settings: TrainConfig) -> TrainConfig:
    """The settings of a run that begins with start: its shape, and its number of tokens."""
    model = ModelSettings(**vars(start.transformer.config), init_from=settings.model.init_from)
    data = replace(settings.data, vocab_size=start.tokenizer.vocab_size)
    return replace(settings, model=model, data=data)
