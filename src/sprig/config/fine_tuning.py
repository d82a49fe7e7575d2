"""Starting from the weights of others: the directory of model.init_from has the shape, the weights, the tokenizer."""

from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from sprig import checkpoint
from sprig.config.schema import ModelSettings, TrainConfig

_FRESH = "muon"
"""What conf/train.yaml has for optim: for a model that knows nothing yet."""


def start_of(settings: TrainConfig, directory: Path) -> checkpoint.Checkpoint | None:
    """The model that the run in directory starts from, in training mode; None for a fresh one.

    ValueError, with file and reason, for one that is not of our kind. A run that goes on has its weights in its own
    state: where the model it began with is gone or damaged, the run's checkpoint has the same shape and tokenizer.
    """
    place = settings.model.init_from
    if place is None:
        return None
    if settings.resume is None:
        _check_pace()
    own = directory / "checkpoints" / "last"
    try:
        start = checkpoint.load_from_elsewhere(place)
    except ValueError:
        if settings.resume is None or not own.is_dir():
            raise
        start = checkpoint.load_from_elsewhere(str(own))
    start.transformer.train()
    return start


def _check_pace() -> None:
    """ValueError where a file names the model, so that `command_line` chose no pace for it, and none else is chosen."""
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    given = {override.partition("=")[0] for override in hydra.overrides.task}
    if not given & {"model.init_from", "optim"} and hydra.runtime.choices.get("optim") == _FRESH:
        raise ValueError(
            "model.init_from stands in a file of settings, and nothing says at what pace to go on from its weights: "
            f"give optim=fine_tune as well, or optim={_FRESH} for the pace of a fresh model."
        )


def settings_from(start: checkpoint.Checkpoint, settings: TrainConfig) -> TrainConfig:
    """The settings of a run that begins with start: its shape, and its number of tokens."""
    model = ModelSettings(**vars(start.transformer.config), init_from=settings.model.init_from)
    data = replace(settings.data, vocab_size=start.tokenizer.vocab_size)
    return replace(settings, model=model, data=data)
