"""The whole way from a source to rows: collect, drop duplicates, split, learn a vocabulary, encode, pack.

What happens to the data happens here and in this order; the split comes before anything is learnt from the text.
"""

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sprig.data import sources
from sprig.data.config import DataConfig
from sprig.data.deduplication import text_key, unique
from sprig.data.documents import Document, Skips
from sprig.data.packing import Rows, encode_rows
from sprig.data.split import split
from sprig.data.tokenizer import CodeTokenizer
from sprig.trace.records import Stage


@dataclass(frozen=True)
class Prepared:
    """Everything that training, validation and the trace need of the data."""

    tokenizer: CodeTokenizer
    train: Rows
    val: Rows
    train_documents: list[Document]
    val_documents: list[Document]
    sample: Document
    """A held-out document, followed through all stages of the trace."""
    stages: list[Stage]
    """The first three stages of the trace."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each side's documents: equal only where the same texts stand on the same side."""
        return {"train": fingerprint(self.train_documents), "val": fingerprint(self.val_documents)}

    @property
    def identity(self) -> dict[str, str]:
        """What has to be the same for a run to go on with these rows where it stopped."""
        shape = f"{len(self.train)} and {len(self.val)} rows of {self.train.seq_len}"
        return {**self.fingerprints, "tokenizer": self.tokenizer.fingerprint, "rows": shape}


def prepare(config: DataConfig) -> Prepared:
    """Read the source that config names and make rows of it; ValueError where the data cannot be trained on."""
    start = time.perf_counter()
    documents, skips = collect(config)
    train_documents, val_documents = split(documents, config.val_fraction, config.seed)
    collected = time.perf_counter()

    tokenizer = CodeTokenizer.train((document.text for document in train_documents), config.vocab_size)
    learnt = time.perf_counter()

    train = encode_rows(train_documents, tokenizer, config.seq_len, config.layout)
    val = encode_rows(val_documents, tokenizer, config.seq_len, config.layout)
    if len(train) < config.batch_size:
        raise ValueError(
            f"{len(train)} training rows are fewer than one batch of {config.batch_size}. "
            f"Set data.batch_size={len(train)} or less, or give more data."
        )
    packed = time.perf_counter()

    sample = _sample_to_follow(val_documents, tokenizer, config.seq_len)
    ids = tokenizer.encode(sample.text)
    total = f"{len(documents):,} documents"
    text_bytes = sum(len(document.text.encode()) for document in documents)
    stages = [
        Stage(
            name="Raw code dataset",
            input_shape=f"source {config.source}",
            operation=f"collect, drop exact duplicates, hold out {config.val_fraction:.0%} by group",
            output_shape=f"{total} x 1 column (code text): {len(train_documents):,} to train on, "
            f"{len(val_documents):,} held out",
            seconds=collected - start,
            sample=sample.text,
            counts={
                "kept": len(documents),
                "bytes": text_bytes,
                **{f"left out: {reason}": count for reason, count in skips.counts.most_common()},
            },
        ),
        Stage(
            name="Preprocessing",
            input_shape=f"{total} x 1 column",
            operation=f"learn {tokenizer.vocab_size:,} tokens from the training side, cut text into tokens",
            output_shape=f"{total}, {(train.tokens + val.tokens) / len(documents):.1f} tokens each",
            seconds=learnt - collected,
            sample=" ".join(map(repr, tokenizer.tokens(ids))),
            counts={
                "vocabulary": tokenizer.vocab_size,
                "tokens": train.tokens + val.tokens,
                "bytes per token": text_bytes / (train.tokens + val.tokens),
            },
        ),
        Stage(
            name="Feature engineering",
            input_shape=f"{total}, tokens",
            operation=f"tokens to numeric ids, {config.layout} rows",
            output_shape=f"{len(train) + len(val):,} rows x {config.seq_len} integers",
            seconds=packed - learnt,
            sample=str([*ids, tokenizer.end_of_text, *[tokenizer.pad] * (config.seq_len - len(ids) - 1)]),
            counts={"training rows": len(train), "validation rows": len(val), "padding": train.padding},
        ),
    ]
    return Prepared(tokenizer, train, val, train_documents, val_documents, sample, stages)


def collect(config: DataConfig) -> tuple[list[Document], Skips]:
    """The source's distinct documents, at most config.limit of them; ValueError if fewer than two are left."""
    skips = Skips()
    documents = list(unique(sources.load(config.source).documents(config, skips), skips))
    if len(documents) < 2:
        raise ValueError(_too_few(documents, skips))
    if config.limit is not None and config.limit < len(documents):
        skips.add("over data.limit", "", len(documents) - config.limit)
        kept = sorted(random.Random(config.seed).sample(range(len(documents)), config.limit))
        documents = [documents[number] for number in kept]
    return documents, skips


def fingerprint(documents: Sequence[Document]) -> str:
    """SHA-256 over the documents' texts, whatever their order and white space."""
    return hashlib.sha256("\n".join(sorted(text_key(document.text) for document in documents)).encode()).hexdigest()


def _too_few(documents: Sequence[Document], skips: Skips) -> str:
    copies = skips.counts["exact duplicate"]
    if documents and copies:
        return f"All {copies + 1} documents are the same ({documents[0].path}): there is nothing to learn from them."
    reasons = ", ".join(f"{count} {reason} ({skips.examples[reason]})" for reason, count in skips.counts.most_common())
    return f"{'One document is' if documents else 'No document is'} left to train on. Left out: {reasons or 'nothing'}."


def _sample_to_follow(documents: Sequence[Document], tokenizer: CodeTokenizer, seq_len: int) -> Document:
    """The first document that fits one row, so that each stage can show the whole of it."""
    fitting = (document for document in documents if len(tokenizer.encode(document.text)) < seq_len)
    return next(fitting, documents[0])
