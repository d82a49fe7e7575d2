"""Data that is ready: tokenizer, rows of both sides, and what the trace and the later stages need of it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sprig.data.config import DataConfig
from sprig.data.corpus import Corpus
from sprig.data.documents import Document
from sprig.data.packing import Rows
from sprig.data.shards import Shards
from sprig.data.store import Documents
from sprig.data.tokenizer import CodeTokenizer
from sprig.trace.records import Funnel, Stage


@dataclass(frozen=True)
class Prepared:
    """Everything that training, validation and the trace need of the data."""

    config: DataConfig
    tokenizer: CodeTokenizer
    train: Shards
    train_tokens: int
    """Tokens of the training side, before any document is turned for filling in the middle."""
    val: Rows
    train_documents: Documents | None
    """None where only their tokens are at hand."""
    val_documents: Documents
    fingerprints: dict[str, str]
    """SHA-256 of each side's documents: equal only where the same texts stand on the same side."""
    sample: Document
    """A held-out document, followed through all stages of the trace."""
    funnel: Funnel
    folder: Path
    """Where it is kept."""
    stages: list[Stage] = field(default_factory=list)
    """The first three stages of the trace."""

    @property
    def identity(self) -> dict[str, str]:
        """What has to be the same for a run to go on with these rows where it stopped."""
        config = self.config
        shape = f"{config.layout} rows of {config.seq_len}, fim_rate {config.fim_rate}, {self.train_tokens} tokens"
        rows = f"{shape}, {self.train.outline}"
        return {**self.fingerprints, "tokenizer": self.tokenizer.fingerprint, "rows": rows}


def sample_to_follow(documents: Documents, corpus: Corpus, seq_len: int) -> Document:
    """The first document that fits one row, so that each stage can show the whole of it; the first where none does.

    Nor does any where the corpus has joined the documents of a group.
    """
    fitting = np.flatnonzero(corpus.lengths <= seq_len) if len(corpus) == len(documents) else ()
    return documents[int(next(iter(fitting), 0))]
