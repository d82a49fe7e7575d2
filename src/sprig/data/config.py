"""The settings of the way from raw code to rows, shared by all sources; each source adds its own fields to them."""

from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints


@dataclass
class DataConfig:
    """What every source has in common. Fields that a source adds stand in its own file."""

    source: str = "snippets"
    """The module of sprig.data.sources that the documents come from."""
    limit: int | None = None
    """At most so many documents are kept, drawn by the seed; null keeps all."""
    val_fraction: float = 0.2
    """The part of the documents held out for validation, in (0, 1)."""
    vocab_size: int = 1024
    """Tokens in the vocabulary: 256 bytes, the special tokens, and merges learnt from the training split."""
    seq_len: int = 50
    """Positions in a row."""
    layout: str = "padded"
    """padded: one document a row, cut into rows where it is longer; packed: documents end to end, no padding."""
    batch_size: int = 64
    """Rows in a batch."""
    seed: int = 0
    """Draws the documents, the split and the generated snippets; apart from the training's seed."""


def from_plain(schema: type[DataConfig], plain: dict[str, Any]) -> DataConfig:
    """Settings of a source from a checkpoint's JSON; ValueError for a key or a type that the schema does not have."""
    hints = get_type_hints(schema)
    for key, value in plain.items():
        if key not in hints:
            raise ValueError(f"data.{key!r:.80} is no setting of the source {schema.__module__.rpartition('.')[2]!r}.")
        if not _fits(value, hints[key]):
            raise ValueError(f"data.{key}={value!r:.80} is of the wrong type.")
    return schema(**plain)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a type that the schemas of sources use: scalars, lists of them, or null."""
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(item, get_args(hint)[0]) for item in value)
    if get_args(hint):
        return any(_fits(value, kind) for kind in get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint
