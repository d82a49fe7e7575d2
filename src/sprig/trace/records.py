"""The trace of a run as plain values, and the file that holds it; it knows none of the stages that report to it.

A number that was not recorded is None (null in the file), never a default. Metrics keep their names everywhere
("val/loss", "val/body_accuracy"). Everything that draws a run reads only this.
"""

import json
import math
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1


@dataclass
class Run:
    """Who, when and with what: enough to start the run again."""

    id: str
    command: str
    started: str
    seed: int | None = None
    device: str | None = None
    git: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    """From start to end; of a run that was gone on with, its parts together, of a killed one to its last save."""


@dataclass
class Stage:
    """One of the six stages: what went in, what was done, what came out, and how the followed sample fared."""

    name: str
    input_shape: str
    operation: str
    output_shape: str
    seconds: float | None = None
    sample: str | None = None
    counts: dict[str, float] = field(default_factory=dict)


@dataclass
class Epoch:
    """The figures of one pass over the training rows, after its validation."""

    epoch: int
    step: int
    tokens: int
    """Training tokens since the start, padding not counted."""
    seconds: float
    """Since the start of training, validation included."""
    metrics: dict[str, float]
    observation: str = ""


@dataclass
class Spike:
    """A step whose loss was far above those before it."""

    step: int
    loss: float
    usual: float
    """The running mean of the losses before."""


@dataclass
class Training:
    """How the steps of training went; of a resumed run, the pace is that of its last part."""

    skipped_steps: int = 0
    """Steps left out because their gradients were not finite."""
    spikes: list[Spike] = field(default_factory=list)
    tokens_per_second: float | None = None
    """Of training alone, padding not counted."""
    flop_utilisation: float | None = None
    """The part of matmul_peak that those tokens need, in [0, 1]."""
    matmul_peak: float | None = None
    """FLOP/s of large matrix multiplications in the run's precision, measured when it began."""
    peak_memory: int | None = None
    """Bytes."""
    compiled: bool | None = None
    batch_size: int | None = None
    """Rows in a batch, of all processes together."""


@dataclass
class Candidate:
    """A token that could come next."""

    id: int
    text: str
    probability: float


@dataclass
class LayerTrace:
    """What one layer did to the position that is being continued."""

    layer: int
    residual_norm: float
    """L2 norm of the residual stream after the layer."""
    guesses: list[Candidate]
    """The logit lens (nostalgebraist 2020): the final norm and head applied to the stream here, top 5."""


@dataclass
class TokenTrace:
    """Everything behind one generated token: the five layers of the seed page's prediction trace."""

    embedding_norms: list[float]
    """L2 norms of the embeddings of the tokens that entered the model at this step."""
    layers: list[LayerTrace]
    softmax: list[Candidate]
    """Top 5 of the model's own distribution."""
    sampled_from: list[Candidate]
    """Top 5 after temperature, top-k and top-p."""
    chosen: Candidate
    """Its probability is the model's own, before temperature, top-k and top-p."""
    rank: int
    """Of the chosen token in the model's own distribution, 1 is the likeliest."""
    text: str
    """The sequence so far, this token included."""


@dataclass
class Generation:
    """One prompt and what the model made of it."""

    prompt: str
    completion: str
    token_ids: list[int]
    stop_reason: str
    tokens_per_second: float
    tokens: list[TokenTrace] = field(default_factory=list)
    """Only where a prediction trace was asked for."""


@dataclass
class Funnel:
    """What became of a source's files on the way to tokens: what is left out or replaced is counted, all of it.

    Counts by reason have the most frequent first.
    """

    unread: dict[str, int] = field(default_factory=dict)
    """What the source came by and did not give: files of other types, links, what cannot be read."""
    documents: int = 0
    """Files, or rows of a table, that the source gave."""
    bytes: int = 0
    """UTF-8 bytes of their text."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Files of these that nothing was made of."""
    redacted: dict[str, int] = field(default_factory=dict)
    """Secrets and personal data that were replaced in the other files, by kind."""
    made: int = 0
    """Documents made of them: themselves, or the functions in them."""
    made_bytes: int = 0
    surplus: dict[str, int] = field(default_factory=dict)
    """Documents of these that were not kept: duplicates, those over a limit."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first place that was left out for a reason, as far as there is one: a path, a file and its line."""
    kept_documents: int = 0
    """What is trained and measured on: files, or the functions in them."""
    kept_bytes: int = 0
    licenses: dict[str, int] = field(default_factory=dict)
    """Documents kept, by SPDX expression."""
    tokens: int = 0
    """An end of text for each document included."""
    lengths: dict[str, int] = field(default_factory=dict)
    """Documents by their tokens, in powers of two: {"17-32": 5}."""
    padding: float | None = None
    """The part of the training rows' positions that is padding; None where no rows were made."""
    seconds: float = 0.0
    """From the first file to the last token, when it was done."""
    from_cache: bool = False
    """Whether it was done by an earlier run."""

    @property
    def left_out(self) -> Counter[str]:
        """Everything that was not kept, by reason."""
        return Counter(self.unread) + Counter(self.dropped) + Counter(self.surplus)


@dataclass
class Trace:
    """One run, from raw code to generated code."""

    run: Run
    stages: list[Stage] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    epochs: list[Epoch] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    generation: list[Generation] = field(default_factory=list)
    data: Funnel | None = None
    training: Training = field(default_factory=Training)

    def save(self, path: Path) -> None:
        """Write the trace as JSON, whole or not at all: beside path first, then renamed onto it."""
        beside = path.with_name(path.name + ".part")
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(self.as_json(), indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def as_json(self) -> dict[str, Any]:
        """The file's content; numbers that JSON cannot hold (nan, inf) become null."""
        plain: dict[str, Any] = _plain({"schema": SCHEMA, **asdict(self)})
        return plain


def read_earlier(path: Path) -> tuple[Run, list[Epoch]]:
    """Run and epochs of a saved trace, to go on with; ValueError if it is damaged or of another schema."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["schema"] != SCHEMA:
            raise ValueError(f"its schema is {saved['schema']}, not {SCHEMA}")
        run, epochs = Run(**saved["run"]), [Epoch(**epoch) for epoch in saved["epochs"]]
        if not (_is(run.seconds, int, float, type(None)) and _is(run.command, str) and _is(run.started, str)):
            raise ValueError("what it says of the run is of the wrong type")
        if not all(map(_well_formed, epochs)):
            raise ValueError("an epoch has figures of the wrong type")
        return run, epochs
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no trace to go on with ({error}).") from error


def _well_formed(epoch: Epoch) -> bool:
    counts = all(_is(count, int) for count in (epoch.epoch, epoch.step, epoch.tokens))
    figures = isinstance(epoch.metrics, dict) and all(
        _is(value, int, float, type(None)) for value in epoch.metrics.values()
    )
    return counts and figures and _is(epoch.seconds, int, float) and _is(epoch.observation, str)


def _is(value: Any, *types: type) -> bool:
    return type(value) in types


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
