"""The whole way from a source to rows: collect, split, learn a vocabulary, encode, pack.

What happens to the data happens here and in this order; the split comes before anything is learnt from the text. All
but the packing is kept on disk and taken from there the next time (`sprig.data.cache`).
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprig.data import cache, sources
from sprig.data.collection import collect
from sprig.data.config import DataConfig
from sprig.data.corpus import Corpus, encode_to
from sprig.data.documents import Document
from sprig.data.fill_in_the_middle import fill_in_the_middle
from sprig.data.packing import Rows, pack
from sprig.data.split import split
from sprig.data.store import Documents
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, CodeTokenizer
from sprig.trace.records import Funnel, Stage

LEARNT_FROM = 32_000_000
"""Characters of the training side that the vocabulary is learnt from: more changes it little and takes memory."""


@dataclass(frozen=True)
class Prepared:
    """Everything that training, validation and the trace need of the data."""

    config: DataConfig
    tokenizer: CodeTokenizer
    train_corpus: Corpus
    val: Rows
    train_documents: Documents
    val_documents: Documents
    fingerprints: dict[str, str]
    """SHA-256 of each side's documents: equal only where the same texts stand on the same side."""
    sample: Document
    """A held-out document, followed through all stages of the trace."""
    funnel: Funnel
    stages: list[Stage]
    """The first three stages of the trace."""

    def train_rows(self, epoch: int) -> Rows:
        """The training rows of an epoch: the same in each, unless documents are turned for filling in the middle."""
        config, corpus = self.config, self.train_corpus
        if config.fim_rate:
            corpus = fill_in_the_middle(corpus, self.tokenizer, config.fim_rate, config.seed, epoch)
        return pack(corpus, config.seq_len, config.layout)

    @property
    def identity(self) -> dict[str, str]:
        """What has to be the same for a run to go on with these rows where it stopped."""
        config = self.config
        shape = (
            f"{config.layout} rows of {config.seq_len}, fim_rate {config.fim_rate}, {self.train_corpus.tokens} tokens"
        )
        return {**self.fingerprints, "tokenizer": self.tokenizer.fingerprint, "rows": shape}


def prepare(config: DataConfig, cache_dir: Path, given: CodeTokenizer | None = None) -> Prepared:
    """Make rows of the source that config names; ValueError where the data cannot be trained on.

    With a tokenizer given, none is learnt, and config.vocab_size has no say.
    """
    start = time.perf_counter()
    if given is not None:
        _check_special(config, given)
    state = sources.load(config.source).state(config)
    name = cache.name_of(config, state, None if given is None else given.fingerprint)
    folder, was_there = cache.entry(cache_dir, name, partial(_make, config, given))
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    tokenizer = CodeTokenizer.load(folder / "tokenizer.json")
    store = folder / "documents.jsonl"
    train_documents, val_documents = (Documents(store, np.load(folder / f"{side}.npy")) for side in ("train", "val"))
    train_corpus, val_corpus = (Corpus.load(folder, side, tokenizer.opening) for side in ("train", "val"))
    loaded = time.perf_counter()
    prepared = Prepared(
        config,
        tokenizer,
        train_corpus,
        pack(val_corpus, config.seq_len, config.layout),
        train_documents,
        val_documents,
        facts["fingerprints"],
        _sample_to_follow(val_documents, tokenizer, config.seq_len),
        Funnel(**facts["funnel"]),
        [],
    )
    train = prepared.train_rows(0)
    if len(train) < config.batch_size:
        raise ValueError(
            f"{len(train)} training rows are fewer than one batch of {config.batch_size}. "
            f"Set data.batch_size={len(train)} or less, or give more data."
        )
    prepared.funnel.padding = train.padding
    prepared.funnel.from_cache = was_there
    seconds = facts["seconds"] if not was_there else {"collect": loaded - start, "learn": 0.0}
    prepared.stages.extend(_stages(prepared, train, given is None, seconds, time.perf_counter() - loaded))
    return prepared


def _check_special(config: DataConfig, tokenizer: CodeTokenizer) -> None:
    """Raise ValueError if the tokenizer has not the tokens that config would train on."""
    for key, wanted, off in (
        ("fim_rate", FILL_IN_THE_MIDDLE if config.fim_rate else (), "0"),
        ("repositories", REPOSITORY if config.repositories else (), "false"),
    ):
        if lacking := tokenizer.lacks(wanted):
            raise ValueError(
                f"data.{key}={getattr(config, key)} needs tokens that the given tokenizer lacks: {', '.join(lacking)} "
                f"(or what other families call them). Set data.{key}={off}."
            )


def _make(config: DataConfig, given: CodeTokenizer | None, directory: Path) -> None:
    """Write everything that is kept of the data into directory."""
    start = time.perf_counter()
    collection = collect(config, directory)
    train, val = split(collection.groups, config.val_fraction, config.seed)
    collected = time.perf_counter()
    for side, places in (("train", train), ("val", val)):
        np.save(directory / f"{side}.npy", collection.documents.numbers[places])
    store = directory / "documents.jsonl"
    documents = {side: Documents(store, np.load(directory / f"{side}.npy")) for side in ("train", "val")}
    tokenizer = given or _learn(config, documents["train"])
    tokenizer.save(directory)
    if config.repositories:  # one after the other, each file where its source gave it
        for side, places in (("train", train), ("val", val)):
            order = sorted(places, key=lambda place: (collection.groups[place], place))
            documents[side] = Documents(store, collection.documents.numbers[order])
    corpora = [
        encode_to(directory, side, documents[side], tokenizer, repositories=config.repositories)
        for side in ("train", "val")
    ]
    funnel = collection.funnel
    funnel.tokens = sum(corpus.tokens for corpus in corpora)
    funnel.lengths = _histogram(np.concatenate([corpus.lengths for corpus in corpora]))
    funnel.seconds = time.perf_counter() - start
    facts = {
        "fingerprints": {
            "train": fingerprint(collection.keys[train]),
            "val": fingerprint(collection.keys[val]),
        },
        "funnel": asdict(funnel),
        "seconds": {"collect": collected - start, "learn": time.perf_counter() - collected},
    }
    (directory / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _learn(config: DataConfig, documents: Documents) -> CodeTokenizer:
    """A vocabulary for the documents, and for what config makes of them."""
    special = (*(FILL_IN_THE_MIDDLE if config.fim_rate else ()), *(REPOSITORY if config.repositories else ()))
    return CodeTokenizer.train(_at_most(LEARNT_FROM, documents), config.vocab_size, special)


def fingerprint(keys: NDArray[np.uint8]) -> str:
    """SHA-256 over the (N, 32) keys of documents, whatever their order."""
    return hashlib.sha256("\n".join(sorted(key.tobytes().hex() for key in keys)).encode()).hexdigest()


def _at_most(limit: int, documents: Documents) -> Iterator[str]:
    """Texts of the first documents, which are in random order, until they have limit characters together."""
    for document in documents:
        yield document.text
        limit -= len(document.text)
        if limit <= 0:
            return


def _histogram(lengths: NDArray[np.int64]) -> dict[str, int]:
    """Documents by their tokens, in powers of two: {"17-32": 5}."""
    powers = np.ceil(np.log2(lengths)).astype(np.int64)
    return {
        f"{2 ** (power - 1) + 1 if power else 1}-{2**power}": int((powers == power).sum())
        for power in range(int(powers.min()), int(powers.max()) + 1)
    }


def _sample_to_follow(documents: Documents, tokenizer: CodeTokenizer, seq_len: int) -> Document:
    """The first document that fits one row, so that each stage can show the whole of it."""
    fitting = (document for document in documents if len(tokenizer.encode(document.text)) < seq_len)
    return next(fitting, documents[0])


def _stages(prepared: Prepared, train: Rows, learnt: bool, seconds: dict[str, float], packing: float) -> list[Stage]:
    """What the trace shows of the data."""
    config, tokenizer, funnel, sample = prepared.config, prepared.tokenizer, prepared.funnel, prepared.sample
    ids = tokenizer.encode(sample.text)
    total = f"{funnel.kept_documents:,} documents"
    vocabulary = (
        f"learn {tokenizer.vocab_size:,} tokens from the training side"
        if learnt
        else f"take the {tokenizer.vocab_size:,} tokens of the given tokenizer"
    )
    again = ", taken from the cache" if funnel.from_cache else ""
    return [
        Stage(
            name="Raw code dataset",
            input_shape=f"source {config.source}",
            operation=f"collect, clean, drop duplicates, hold out {config.val_fraction:.0%} by group{again}",
            output_shape=f"{total} x 1 column (code text): {len(prepared.train_documents):,} to train on, "
            f"{len(prepared.val_documents):,} held out",
            seconds=seconds["collect"],
            sample=sample.text,
            counts={
                "kept": funnel.kept_documents,
                "bytes": funnel.kept_bytes,
                **{f"replaced: {kind}": count for kind, count in funnel.redacted.items()},
                **{f"left out: {reason}": count for reason, count in funnel.dropped.items()},
            },
        ),
        Stage(
            name="Preprocessing",
            input_shape=f"{total} x 1 column",
            operation=f"{vocabulary}, cut text into tokens{again}",
            output_shape=f"{total}, {funnel.tokens / funnel.kept_documents:.1f} tokens each",
            seconds=seconds["learn"],
            sample=" ".join(map(repr, tokenizer.tokens(ids))),
            counts={
                "vocabulary": tokenizer.vocab_size,
                "tokens": funnel.tokens,
                "bytes per token": funnel.kept_bytes / funnel.tokens,
            },
        ),
        Stage(
            name="Feature engineering",
            input_shape=f"{total}, tokens",
            operation=f"tokens to numeric ids, {config.layout} rows",
            output_shape=f"{len(train) + len(prepared.val):,} rows x {config.seq_len} integers",
            seconds=packing,
            sample=str([*ids, tokenizer.end_of_text, *[tokenizer.pad] * (config.seq_len - len(ids) - 1)]),
            counts={"training rows": len(train), "validation rows": len(prepared.val), "padding": train.padding},
        ),
    ]
