"""The source `hub`: a dataset by its name at the Hugging Face Hub, or in a folder; each row is one file of code.

Where it stands: the first step of the way data takes. `datasets` finds and streams the rows,
`sprig.data.rows_of_tables` makes documents of them. No code that comes with a dataset is ever run, and nothing is
fetched before it is asked for.

Of a folder, only regular files in it are read, none of them packed: the library below unpacks a file in memory,
whatever comes out. A snapshot in the Hub's own cache is such a folder, though its files are links there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from sprig.data import files_of_tables, rows_of_tables
from sprig.data.documents import Document, Skips
from sprig.data.reading import Unfit, shown, why
from sprig.data.rows_of_tables import TableConfig
from sprig.data.sources import parquet

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".rar", ".tar", ".tgz")
# Their first bytes: the library goes by them where it does not know the ending.
_MARKS = (
    *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"),
    *(b"PK\3\4", b"7z\xbc\xaf", b"Rar!"),
)
_DESCRIPTIONS = ("README.md", "dataset_infos.json", ".huggingface.yaml")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass
class Config(TableConfig):
    """Rows of a dataset that the library `datasets` can stream."""

    source: str = "hub"
    name: str = ""
    """The dataset's name ("codeparrot/codeparrot-clean"), or a folder with its files, none of them packed."""
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
    return rows_of_tables.documents(_checked(config, columns, datasets, skips), config, skips)


def state(config: Config) -> Iterator[str]:
    """The files of a folder with their sizes and times, or the commit that the revision stands for now."""
    folder = _folder(config)
    if folder:
        yield from files_of_tables.state_of(sorted(_regular_files(folder, Skips())))
    else:
        yield _commit(config)


def _commit(config: Config) -> str:
    """The commit that the revision stands for, or stood for when it was first asked for: what is read is that one."""
    if config.revision and _COMMIT.fullmatch(config.revision):
        return config.revision
    _datasets()
    try:
        return _newest(config.name, config.revision)
    except Exception as error:  # of httpx, of huggingface_hub, of the system: there is no base to them
        raise _refusal(config, error) from None


@cache
def _newest(name: str, revision: str | None) -> str:
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(name, revision=revision).sha)


def _checked(
    config: Config, columns: list[str], datasets: Any, skips: Skips
) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yield (place, row) with text in the columns; ValueError where there is something else, or an error."""
    rows = _rows(config, columns, datasets, skips)
    checked = False
    for number in count(1):
        try:
            row = next(rows)
        except StopIteration:
            return
        except _Refused as error:
            raise ValueError(str(error)) from None
        except Exception as error:  # of the network, of the format, of the dataset's description: all end the run
            raise _refusal(config, error) from None
        if not checked:  # a dataset of JSON lines does not know its columns before
            rows_of_tables.check_columns(config, row, f"data.name={config.name}")
            checked = True
        for name in columns:
            if not isinstance(row.get(name), str | None):
                kind = type(row[name]).__name__
                raise ValueError(f"data.name={config.name}: the column {name!r} has no text in it, but {kind}.")
        yield f"{config.name}/{config.split}:{number}", row


class _Refused(ValueError):
    """A refusal in words of ours, among the errors of the libraries."""


def _rows(config: Config, columns: list[str], datasets: Any, skips: Skips) -> Iterator[dict[str, Any]]:
    folder = _folder(config)
    if folder:
        files = set(_regular_files(folder, skips))
        for name in _DESCRIPTIONS:  # which the library reads to the end
            if (folder / name).exists() and folder / name not in files:
                raise _Refused(f"data.name={config.name}: {name} in it must be a regular file")
    revision = config.revision if folder else _commit(config)
    builder = datasets.load_dataset_builder(str(folder or config.name), config.subset, revision=revision)
    if folder:
        data_files = builder.config.data_files or {}
        _choose(data_files, files, columns, config)
        _count_others(data_files, files, folder, config, skips)
    dataset = builder.as_streaming_dataset(split=config.split)
    known = dataset.column_names
    if known and set(columns) <= set(known):  # of Parquet: pictures beside the code are then not unpacked
        dataset = dataset.select_columns(columns)
    yield from dataset


def _folder(config: Config) -> Path | None:
    """The folder that the dataset is, where it is one."""
    try:
        folder = Path(config.name).expanduser().resolve()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, ~ of an unknown user, a NUL
        raise ValueError(f"data.name={shown(config.name)}: it cannot be read ({why(error)})") from None


def _regular_files(folder: Path, skips: Skips) -> Iterator[Path]:
    for path in files_of_tables.files_below(folder, skips):
        if files_of_tables.is_regular(path, path.relative_to(folder).as_posix(), skips):
            yield path


def _choose(data_files: Any, files: set[Path], columns: list[str], config: Config) -> None:
    """Leave those of a dataset's files that are among files, by split, and look at how much each may unpack to.

    Those of all splits: the library looks into the first of them to see what columns there are.
    """
    for split, paths in data_files.items():
        # In place: the lists know more than their items. A description may name any file of the machine, or of the net.
        paths[:] = [path for path in paths if Path(path) in files]
        for path in map(Path, paths):
            try:
                with files_of_tables.open_regular(path) as stream:
                    start = stream.read(8)
                    packed = path.name.lower().endswith(_PACKED) or start.startswith(_MARKS)
                    if start.startswith(b"PAR1"):
                        parquet.check_file(stream, columns, path.name)
            except Unfit as reason:
                raise _Refused(f"data.name={config.name}: {path.name} cannot be read ({reason})") from None
            if packed:
                raise _Refused(
                    f"data.name={config.name}: it cannot be read ({path.name} is packed, and may unpack to anything).\n"
                    "Of JSON lines, data=jsonl reads packed files; unpack others."
                )
        if not paths and split == config.split:
            raise _Refused(f"data.name={config.name}: it cannot be read (no regular file of {split} is in the folder)")


def _count_others(data_files: Any, files: set[Path], folder: Path, config: Config, skips: Skips) -> None:
    """Count the files of a folder that no row of config.split comes from."""
    read = set(map(Path, data_files.get(config.split, ())))
    others = {Path(path) for paths in data_files.values() for path in paths}
    for path in sorted(files - read):
        name = path.relative_to(folder).as_posix()
        if path in others:
            skips.add("of another split", name)
        elif name not in _DESCRIPTIONS:
            skips.add("other file type", name)


def _refusal(config: Config, error: Exception) -> ValueError:
    """One line of what the libraries below say in many."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    part = f", split {config.split}" + (f", subset {config.subset}" if config.subset else "")
    return ValueError(f"data.name={config.name}{part}: it cannot be read ({said[:300]})")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise ValueError("Datasets of the Hub need packages more: pip install '.[hub]' in Sprig's folder") from None
    datasets.disable_progress_bars()
    return datasets
