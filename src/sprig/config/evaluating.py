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
    trained_on = own_data(loaded)
    documents, note = _documents(settings.data, trained_on, loaded, Path(settings.output_dir))
    rows = encode_rows(documents, loaded.tokenizer, trained_on.seq_len, trained_on.layout)
    batches = BatchLoader(
        rows,
        min(trained_on.batch_size, len(rows)),
        pad=loaded.tokenizer.pad,
        seed=None,
        trim=trained_on.layout == "padded",
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


def own_data(loaded: checkpoint.Checkpoint) -> DataConfig:
    """The settings that the checkpoint says it was trained with, checked as if a user had given them."""
    plain: Any = loaded.facts.get("data")
    if not isinstance(plain, dict) or not isinstance(loaded.facts.get("fingerprints"), dict):
        raise ValueError(f"{loaded.directory}/sprig.json does not say what the model was trained on.")
    data = from_plain(sources.load(str(plain.get("source"))).Config, plain)
    check_data(data)
    if data.seq_len > loaded.transformer.config.max_position_embeddings:
        raise ValueError(f"{loaded.directory}: data.seq_len={data.seq_len} is longer than the model's context.")
    return data


def own_split(loaded: checkpoint.Checkpoint, trained_on: DataConfig) -> tuple[list[Document], list[Document]]:
    """The documents that the model was trained on, and those held out; ValueError if they are not what they were."""
    train, val = split(collect(trained_on)[0], trained_on.val_fraction, trained_on.seed)
    if {"train": fingerprint(train), "val": fingerprint(val)} != loaded.facts["fingerprints"]:
        raise ValueError(
            f"The source {trained_on.source!r} no longer gives the documents that the model was trained on, so its "
            f"validation split cannot be told from its training data.\n"
            "Measure it on other code: data=folder data.path=..."
        )
    return train, val


def _documents(
    data: DataConfig | None, trained_on: DataConfig, loaded: checkpoint.Checkpoint, output_dir: Path
) -> tuple[list[Document], str]:
    """What to measure on, and a sentence on how it relates to the training data."""
    own_path = getattr(trained_on, "path", "")
    # A checkpoint from elsewhere does not decide which of this machine's folders are read; the user does.
    ours = loaded.directory.resolve().is_relative_to(output_dir.resolve())
    readable = not own_path or ours or getattr(data, "path", "") == own_path
    if data is None:
        if not readable:
            raise ValueError(
                f"The checkpoint says that it was trained on {own_path!r:.200}, and it is none of {output_dir}'s.\n"
                f"Name that folder yourself if it is to be read: data={trained_on.source} data.path=..."
            )
        return own_split(loaded, trained_on)[1], "the checkpoint's own validation split"
    check_data(data)
    documents, _ = collect(data)
    unchecked = "overlap with the training data could not be checked: "
    if not readable:
        return documents, unchecked + "it comes from a folder that was not named here"
    if getattr(data, "unit", "function") != getattr(trained_on, "unit", "function"):
        return documents, unchecked + f"the model was trained on data.unit={getattr(trained_on, 'unit', 'function')}"
    try:
        train, _ = own_split(loaded, trained_on)
    except ValueError:
        return documents, unchecked + "it is not at hand as it was"
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
