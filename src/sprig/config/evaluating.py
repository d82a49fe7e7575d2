"""`evaluate.py`: a checkpoint measured on its own validation split, or on code that it never saw."""

from pathlib import Path
from typing import Any

from sprig import checkpoint
from sprig.config import building
from sprig.config.checks import check_data
from sprig.config.run_directory import new_trace
from sprig.config.schema import EvaluateConfig
from sprig.data import sources
from sprig.data.config import DataConfig, from_plain
from sprig.data.deduplication import text_key
from sprig.data.documents import Document
from sprig.data.loading import BatchLoader
from sprig.data.packing import encode_rows
from sprig.data.preparation import collect, fingerprint
from sprig.data.split import split
from sprig.evaluation.functions import score, with_headers, write_functions
from sprig.trace import terminal
from sprig.trace.console import open_console
from sprig.training.callbacks.held_out import HeldOutFunctions
from sprig.training.config import OptimConfig, TrainerConfig
from sprig.training.module import LanguageModelling
from sprig.training.precision import resolve_precision


def evaluate(settings: EvaluateConfig, directory: Path) -> None:
    """Measure the checkpoint, print the figures, and write them to trace.json as `final`.

    Rows are made as in training (seq_len, layout, batch_size of the checkpoint); the source is that of settings.data
    where there is one. Documents that were trained on are dropped and counted, never measured.
    """
    building.quiet_lightning()
    loaded = checkpoint.load(checkpoint.resolve(settings.ckpt, Path(settings.output_dir)))
    trained_on = _own_data(loaded)
    documents, note = _documents(settings.data, trained_on, loaded.facts["fingerprints"])
    rows = encode_rows(documents, loaded.tokenizer, trained_on.seq_len, trained_on.layout)
    batches = BatchLoader(
        rows, trained_on.batch_size, pad=loaded.tokenizer.pad, seed=None, trim=trained_on.layout == "padded"
    )
    module = LanguageModelling(loaded.transformer, OptimConfig(), settings.metrics.names, loaded.tokenizer.token_bytes)
    functions = with_headers(documents, settings.held_out_headers)
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
    measured = f"{len(documents):,} documents, {rows.tokens:,} tokens; {note}"
    open_console().print(terminal.draw_evaluation(str(loaded.directory), measured, trace.final))


def _own_data(loaded: checkpoint.Checkpoint) -> DataConfig:
    """The settings that the checkpoint says it was trained with, checked as if a user had given them."""
    plain: Any = loaded.facts.get("data")
    if not isinstance(plain, dict) or not isinstance(loaded.facts.get("fingerprints"), dict):
        raise ValueError(f"{loaded.directory}/sprig.json does not say what the model was trained on.")
    data = from_plain(sources.load(str(plain.get("source"))).Config, plain)
    check_data(data)
    if data.seq_len > loaded.transformer.config.max_position_embeddings:
        raise ValueError(f"{loaded.directory}: data.seq_len={data.seq_len} is longer than the model's context.")
    return data


def _documents(
    data: DataConfig | None, trained_on: DataConfig, fingerprints: dict[str, str]
) -> tuple[list[Document], str]:
    """What to measure on, and a sentence on how it relates to the training data."""
    if data is None:
        train, val = split(collect(trained_on)[0], trained_on.val_fraction, trained_on.seed)
        if {"train": fingerprint(train), "val": fingerprint(val)} != fingerprints:
            raise ValueError(
                f"The source {trained_on.source!r} no longer gives the documents that the model was trained on, so its "
                f"validation split cannot be told from its training data.\n"
                "Measure it on other code: data=folder data.path=..."
            )
        return val, "the checkpoint's own validation split"
    check_data(data)
    documents, _ = collect(data)
    try:
        train, _ = split(collect(trained_on)[0], trained_on.val_fraction, trained_on.seed)
    except ValueError:
        train = []
    if fingerprint(train) != fingerprints.get("train"):
        return documents, "the training data is not at hand as it was: overlap with it could not be checked"
    known = {text_key(document.text) for document in train}
    unseen = [document for document in documents if text_key(document.text) not in known]
    if not unseen:
        raise ValueError(
            f"All {len(documents)} documents of {data.source!r} were trained on: there is nothing to measure."
        )
    return (
        unseen,
        f"{len(documents) - len(unseen):,} more were left out because the model was trained on them",
    )
