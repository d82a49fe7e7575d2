"""The whole way from a source to rows: collect, split, learn a vocabulary, encode, pack.

What happens to the data happens here and in this order; the split comes before anything is learnt from the text. All
but the packing is kept on disk and taken from there the next time (`sprig.data.cache`).
"""

import hashlib
import re
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprig.data import cache, sources
from sprig.data.cleaning import contamination
from sprig.data.collection import collect
from sprig.data.config import DataConfig
from sprig.data.corpus import encode_to
from sprig.data.facts import Facts
from sprig.data.packing import pack
from sprig.data.prepared import Prepared, sample_to_follow
from sprig.data.prepared_folder import PreparedFolder
from sprig.data.shards import shards_of
from sprig.data.sources import prepared
from sprig.data.split import split
from sprig.data.stages import stages_of
from sprig.data.store import Documents, StoreWriter
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, CodeTokenizer

SIDES = ("train", "val")

_AT_ONCE = 1 << 12  # keys

LEARNT_FROM = 32_000_000
"""Characters of the training side that the vocabulary is learnt from: more changes it little and takes time."""
WORDS_LEARNT_FROM = 100_000
"""Different words among them after which no more text is read, for each takes memory: Python packages have 89,000 in so
many characters."""
_WORD = re.compile(r"[ _]?[^\W\d_][^\W_]*")  # near to what `sprig.data.lexemes` takes for one, in any script


def prepare(config: DataConfig, cache_dir: Path, given: CodeTokenizer | None = None) -> Prepared:
    """Make rows of the source that config names; ValueError where the data cannot be trained on.

    With a tokenizer given, none is learnt, and config.vocab_size has no say.
    """
    start = time.perf_counter()
    if given is not None:
        _check_special(config, given)
    if isinstance(config, prepared.Config):
        config.check()
        at, was_there = PreparedFolder.at(config.path, cache_dir), True
    else:
        state = chain(sources.load(config.source).state(config), contamination.state(config.decontaminate))
        name = cache.name_of(config, state, None if given is None else given.fingerprint)
        folder, was_there = cache.entry(cache_dir, name, partial(_make, config, given))
        at = PreparedFolder.here(folder)
    facts = Facts.load(at.folder)
    if facts.repositories and not config.repositories and config.fim_rate:  # what config itself says was checked before
        raise ValueError(
            f"{at.folder} was prepared with data.repositories=true: its files are joined, and data.fim_rate would cut "
            "them apart. Set data.fim_rate=0."
        )
    tokenizer = CodeTokenizer.load(at.folder / "tokenizer.json")
    if given is None:
        _check_special(config, tokenizer)
    elif given.fingerprint != tokenizer.fingerprint:
        raise ValueError(f"data.path={at.folder} was cut into tokens by another tokenizer than that of the model.")
    train, val = (at.corpus(side, tokenizer) for side in SIDES)
    val_documents = at.val_documents()
    loaded = time.perf_counter()
    ready = Prepared(
        config,
        tokenizer,
        shards_of(train, tokenizer, config),
        train.tokens,
        pack(val, config.seq_len, config.layout),
        at.train_documents(),
        val_documents,
        facts.fingerprints,
        sample_to_follow(val_documents, val, config.seq_len),
        facts.funnel,
        at.folder,
    )
    rows = sum(ready.train.counts(0))
    tokens = ready.train.rows(0, 0).tokens if len(ready.train) == 1 else ready.train_tokens
    ready.funnel.padding = 1 - tokens / (rows * config.seq_len)
    ready.funnel.from_cache = was_there
    seconds = facts.seconds if not was_there else {"collect": loaded - start, "learn": 0.0}
    seconds["pack"] = time.perf_counter() - loaded
    ready.stages.extend(stages_of(ready, given is None, seconds))
    return ready


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
    if config.repositories and len(set(collection.groups)) == len(collection.groups):
        raise ValueError(
            "data.repositories=true joins the files of a group, and here each is a group of its own.\n"
            "Take data=packages, several repositories with data=git, or a table with data.group_column."
        )
    train, val = split(collection.groups, config.val_fraction, config.seed)
    collected = time.perf_counter()
    np.save(directory / "train.npy", collection.documents.numbers[train])
    documents = {side: collection.documents.at(places) for side, places in (("train", train), ("val", val))}
    # Apart: it is at hand where the training side's is far away.
    with StoreWriter(directory / "val.documents.jsonl") as store:
        for document in documents["val"]:
            store.append(document)
    tokenizer = given or _learn(config, documents["train"])
    tokenizer.save(directory)
    if config.repositories:  # one after the other as they were drawn, each file where its source gave it
        for side, places in (("train", train), ("val", val)):
            turns = {group: turn for turn, group in enumerate(dict.fromkeys(collection.groups[at] for at in places))}
            order = sorted(places, key=lambda place: (turns[collection.groups[place]], place))
            documents[side] = collection.documents.at(order)
    corpora = [
        encode_to(directory, side, documents[side], tokenizer, repositories=config.repositories) for side in SIDES
    ]
    funnel = collection.funnel
    funnel.tokens = sum(corpus.tokens for corpus in corpora)
    funnel.lengths = _histogram(np.concatenate([corpus.lengths for corpus in corpora]))
    funnel.seconds = time.perf_counter() - start
    Facts(
        {"train": fingerprint(collection.keys[train]), "val": fingerprint(collection.keys[val])},
        funnel,
        {"collect": collected - start, "learn": time.perf_counter() - collected},
        config.repositories,
    ).save(directory)


def _learn(config: DataConfig, documents: Documents) -> CodeTokenizer:
    """A vocabulary for the documents, and for what config makes of them."""
    special = (*(FILL_IN_THE_MIDDLE if config.fim_rate else ()), *(REPOSITORY if config.repositories else ()))
    return CodeTokenizer.train(_sample(documents, LEARNT_FROM, WORDS_LEARNT_FROM), config.vocab_size, special)


def fingerprint(keys: NDArray[np.uint8]) -> str:
    """SHA-256 over the (N, 32) keys of documents, a line of hexadecimal each, whatever their order."""
    ordered = np.sort(np.ascontiguousarray(keys).view("V32").reshape(-1))
    digest = hashlib.sha256()
    for start in range(0, len(ordered), _AT_ONCE):
        lines = ordered[start : start + _AT_ONCE].tobytes().hex("\n", 32)
        digest.update(f"\n{lines}".encode() if start else lines.encode())
    return digest.hexdigest()


def _sample(documents: Documents, characters: int, words: int) -> Iterator[str]:
    """Texts of the first documents, which are in random order, until they have so much of either together."""
    met = set[str]()
    for document in documents:
        yield document.text
        characters -= len(document.text)
        met.update(_WORD.findall(document.text))
        if characters <= 0 or len(met) >= words:
            return


def _histogram(lengths: NDArray[np.int64]) -> dict[str, int]:
    """Documents by their tokens, in powers of two: {"17-32": 5}."""
    powers = np.ceil(np.log2(lengths)).astype(np.int64)
    return {
        f"{2 ** (power - 1) + 1 if power else 1}-{2**power}": int((powers == power).sum())
        for power in range(int(powers.min()), int(powers.max()) + 1)
    }
