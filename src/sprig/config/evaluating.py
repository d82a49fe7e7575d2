"""`evaluate.py`: a checkpoint measured on its own validation split, or on code that it never saw."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sprig import checkpoint
from sprig.config import building
from sprig.config.checks import check_data
from sprig.config.run_directory import new_trace
from sprig.config.schema import EvaluateConfig
from sprig.data import sources
from sprig.data.collection import collect
from sprig.data.config import AUTO, DataConfig, from_plain
from sprig.data.corpus import Corpus, encode
from sprig.data.deduplication import text_key
from sprig.data.documents import Document
from sprig.data.loading import BatchLoader
from sprig.data.packing import pack, windows
from sprig.data.preparation import prepare
from sprig.data.prepared import Prepared
from sprig.evaluation.functions import score, with_headers, write_functions
from sprig.trace import terminal
from sprig.trace.console import open_console
from sprig.training.callbacks.held_out import HeldOutFunctions
from sprig.training.config import OptimConfig, TrainerConfig
from sprig.training.module import LanguageModelling
from sprig.training.precision import resolve_precision


def evaluate(settings: EvaluateConfig, directory: Path) -> None:
    """Measure the checkpoint, print the figures, and write them to trace.json as `final`.

    Rows are made as in training (seq_len, layout, batch_size of the checkpoint) unless settings.stride says otherwise;
    the source is that of settings.data where there is one. Documents that were trained on are dropped and counted,
    never measured.
    """
    if settings.held_out_headers < 0:
        raise ValueError("held_out_headers must be 0 (none) or more.")
    building.quiet_lightning()
    loaded = checkpoint.load(checkpoint.resolve(settings.ckpt, Path(settings.output_dir)))
    trained_on = own_data(loaded)
    with TemporaryDirectory() as place:
        stride = settings.stride
        if stride is not None and not 1 <= stride <= trained_on.seq_len:
            raise ValueError(f"stride={stride} must be from 1 to {trained_on.seq_len}, the length of the model's rows.")
        documents, note, corpus = _documents(settings, trained_on, loaded, Path(place))
        if corpus is None:
            joined = trained_on.repositories
            measured = sorted(documents, key=lambda document: document.group) if joined else documents
            corpus = encode(measured, loaded.tokenizer, repositories=joined)
        if stride is None:
            rows = pack(corpus, trained_on.seq_len, trained_on.layout)
        else:
            rows = windows(corpus, trained_on.seq_len, stride)
        functions = with_headers(documents, settings.held_out_headers)
    batches = BatchLoader(
        rows,
        min(trained_on.batch_size, len(rows)),
        seed=None,
        trim=trained_on.layout == "padded" and stride is None,
        document_mask=trained_on.document_mask and stride is None,
    )
    # What a window has as context only is no padding.
    metrics = [name for name in settings.metrics.names if stride is None or not name.startswith("padded_")]
    module = LanguageModelling(loaded.transformer, OptimConfig(), metrics, loaded.tokenizer.token_bytes)
    judge = HeldOutFunctions(lambda model: score(write_functions(model, loaded.tokenizer, functions)))
    device = building.device_of(settings.accelerator)
    trainer = building.build_trainer(
        TrainerConfig(accelerator=settings.accelerator),
        resolve_precision(settings.precision, device),
        [],
        [judge] if functions else [],
        directory,
    )
    trace = new_trace(directory, None, device)
    [figures] = trainer.validate(module, dataloaders=batches, verbose=False)
    trace.final = {name: float(value) for name, value in figures.items()}
    trace.save(directory / "trace.json")
    what = f"{len(documents):,} documents, {rows.tokens:,} tokens; {note}"
    open_console().print(terminal.draw_evaluation(str(loaded.directory), what, trace.final))


def own_data(loaded: checkpoint.Checkpoint) -> DataConfig:
    """The settings that the checkpoint says it was trained with, checked as if a user had given them."""
    plain: Any = loaded.facts.get("data")
    if not isinstance(plain, dict) or not isinstance(loaded.facts.get("fingerprints"), dict):
        raise ValueError(f"{loaded.directory}/sprig.json does not say what the model was trained on.")
    data = from_plain(sources.load(str(plain.get("source"))).Config, plain)
    check_data(data)
    if data.vocab_size == AUTO:
        raise ValueError(f"{loaded.directory}/sprig.json: data.vocab_size=auto is no vocabulary of a trained model.")
    if data.batch_size == AUTO:
        raise ValueError(f"{loaded.directory}/sprig.json: data.batch_size=auto is no batch of a trained model.")
    if data.seq_len > loaded.transformer.config.max_position_embeddings:
        raise ValueError(f"{loaded.directory}: data.seq_len={data.seq_len} is longer than the model's context.")
    return data


def own_split(loaded: checkpoint.Checkpoint, trained_on: DataConfig, cache_dir: Path) -> Prepared:
    """The data that the model was trained on, and what was held out; ValueError if it is not what it was."""
    prepared = prepare(trained_on, cache_dir, loaded.tokenizer if loaded.facts.get("init_from") else None)
    if prepared.fingerprints != loaded.facts["fingerprints"]:
        raise ValueError(
            f"The source {trained_on.source!r} no longer gives the documents that the model was trained on, so its "
            f"validation split cannot be told from its training data.\n"
            "Measure it on other code: data=folder data.path=..."
        )
    return prepared


def _documents(
    settings: EvaluateConfig, trained_on: DataConfig, loaded: checkpoint.Checkpoint, directory: Path
) -> tuple[Sequence[Document], str, Corpus | None]:
    """What to measure on, and a sentence on how it relates to the training data; directory is for what is read.

    With it comes what was encoded for training already; None where nothing was.
    """
    data, cache_dir, output_dir = settings.data, Path(settings.cache_dir), Path(settings.output_dir)
    own_places = _places(trained_on)
    # A checkpoint from elsewhere does not decide which of this machine's folders are read; the user does.
    ours = loaded.directory.resolve().is_relative_to(output_dir.resolve())
    readable = not own_places or ours or (data is not None and _places(data) == own_places)
    if data is None:
        if not readable:
            named = " ".join(f"data.{key}=..." for key in own_places)
            raise ValueError(
                f"The checkpoint says that it was trained on {list(own_places.values())!r:.200}, and it is none of "
                f"{output_dir}'s.\nName that place yourself if it is to be read: data={trained_on.source} {named}"
            )
        own = own_split(loaded, trained_on, cache_dir)
        same = own.tokenizer.fingerprint == loaded.tokenizer.fingerprint  # another may have been learnt since
        return own.val_documents, "the checkpoint's own validation split", own.val.corpus if same else None
    check_data(data)
    collection = collect(data, directory, least=1)
    documents = collection.documents
    left_out = "".join(f", {count:,} {reason}" for reason, count in collection.funnel.left_out.most_common())
    cleaned = f"left out in cleaning: {left_out[2:] or 'nothing'}; "

    def unchecked(why: str) -> tuple[Sequence[Document], str, None]:
        print(
            f"What the model was trained on could not be left out: {why}. It may be in what is measured.",
            file=sys.stderr,
        )
        return documents, f"{cleaned}overlap with the training data could not be checked: {why}", None

    if not readable:
        return unchecked("it comes from a place that was not named here")
    if data.unit != trained_on.unit:
        return unchecked(f"the model was trained on data.unit={trained_on.unit}")
    try:
        train = own_split(loaded, trained_on, cache_dir).train_documents
    except ValueError:
        train = None
    if train is None:
        return unchecked("it is not at hand as it was")
    known = {text_key(document.text) for document in train}
    unseen = [document for document in documents if text_key(document.text) not in known]
    if not unseen:
        raise ValueError(
            f"All {len(documents)} documents of {data.source!r} were trained on: there is nothing to measure."
        )
    return (
        unseen,
        f"{cleaned}{len(documents) - len(unseen):,} more were left out because the model was trained on them",
        None,
    )


def _places(data: DataConfig) -> dict[str, Any]:
    """The places on this machine, or elsewhere, that a source's settings name, by setting."""
    settings = ("path", "paths", "name", "environment", "parts", "decontaminate")
    return {name: place for name in settings if (place := getattr(data, name, None))}
