"""Which figures of a run are shown and in what order: the same in tables, progress and results."""

from collections.abc import Iterable

_ORDER = (
    "train/loss",
    "val/loss",
    "val/accuracy",
    "val/body_loss",
    "val/body_accuracy",
    "val/exact",
    "val/runs",
    "val/bits_per_byte",
)
# Perplexity is e to the power of the loss; what counts padding is shown beside the honest figures, in a place of its
# own. Both are in trace.json like all others.
_NOT_SHOWN = ("val/perplexity", "val/padded_loss", "val/padded_accuracy")


def shown(names: Iterable[str]) -> list[str]:
    """The names to show, known ones in their order and then what somebody has added; train/loss and val/ only."""
    kept = {name for name in names if name == "train/loss" or name.startswith("val/")} - set(_NOT_SHOWN)
    return sorted(kept, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
