"""The source `hub`: a dataset by its name at the Hugging Face Hub, or in a folder; each row is one file of code.

Where it stands: the first step of the way data takes. `datasets` finds and streams the rows,
`sprig.data.rows_of_tables` makes documents of them. No code that comes with a dataset is ever run, and nothing is
fetched before it is asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sprig.data import rows_of_tables
from sprig.data.documents import Document, Skips
from sprig.data.reading import Unfit
from sprig.data.rows_of_tables import TableConfig

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass
class Config(TableConfig):
    """Rows of a dataset that the library `datasets` can stream."""

    source: str = "hub"
    name: str = ""
    """The dataset's name ("codeparrot/codeparrot-clean"), or a folder with its files."""
    subset: str | None = None
    """One of the dataset's configurations; null: the only or the default one."""
    split: str = "train"
    """The part of the dataset that is read. What is held out of it is ours to say: data.val_fraction."""
    revision: str | None = None
    """A commit, a tag or a branch; null: what is newest."""


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """Yield a document for each row, in the dataset's own order; ValueError where it cannot be had."""
    columns = rows_of_tables.columns(config)
    if not config.name:
        raise ValueError("data=hub needs a dataset: data.name=codeparrot/codeparrot-clean")
    datasets = _datasets()
    return _documents(config, columns, datasets, skips)


def state(config: Config) -> Iterator[str]:
    """The files of a folder with their sizes and times, or the commit that the revision stands for now."""
    folder = Path(config.name).expanduser()
    if folder.is_dir():
        yield from rows_of_tables.state_of(sorted(path for path in folder.rglob("*") if path.is_file()))
    elif config.revision and _COMMIT.fullmatch(config.revision):
        yield config.revision
    else:
        _datasets()
        from huggingface_hub import HfApi

        try:
            yield str(HfApi().dataset_info(config.name, revision=config.revision).sha)
        except Exception as error:  # of httpx, of huggingface_hub, of the system: there is no base to them
            raise _refusal(config, error) from None


def _documents(config: Config, columns: list[str], datasets: Any, skips: Skips) -> Iterator[Document]:
    rows = _rows(config, columns, datasets)
    checked = False
    for number in count(1):
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # of the network, of the format, of the dataset's description: all end the run
            raise _refusal(config, error) from None
        if not checked:  # a dataset of JSON lines does not know its columns before
            rows_of_tables.check_columns(config, row, f"data.name={config.name}")
            checked = True
        for name in columns:
            if not isinstance(row.get(name), str | None):
                kind = type(row[name]).__name__
                raise ValueError(f"data.name={config.name}: the column {name!r} has no text in it, but {kind}.")
        place = f"{config.name}/{config.split}:{number}"
        try:
            document = rows_of_tables.document(row, place, config)
        except Unfit as reason:
            skips.add(str(reason), place)
            continue
        yield document


def _rows(config: Config, columns: list[str], datasets: Any) -> Iterator[dict[str, Any]]:
    folder = Path(config.name).expanduser()
    dataset = datasets.load_dataset(
        str(folder.resolve()) if folder.is_dir() else config.name,
        config.subset,
        split=config.split,
        revision=config.revision,
        streaming=True,
    )
    known = dataset.column_names
    if known and set(columns) <= set(known):  # pictures beside the code are then not even unpacked
        dataset = dataset.select_columns(columns)
    yield from dataset


def _refusal(config: Config, error: Exception) -> ValueError:
    """One line of what the libraries below say in many."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    part = f", split {config.split}" + (f", subset {config.subset}" if config.subset else "")
    return ValueError(f"data.name={config.name}{part}: it cannot be read ({said[:300]})")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise ValueError("Datasets of the Hub need packages more: pip install 'sprig[hub]'") from None
    datasets.disable_progress_bars()
    return datasets
