"""metrics.csv: all figures that are logged, a row each time, kept through a kill and a full disk.

Where it stands: a logger of Lightning's, in the place of its CSVLogger, which removes the file of a run that is gone on
with and ends the run where the disk does not take a row.
"""

import csv
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

_HELD = 100  # rows in memory before they are written


class MetricsFile(Logger):
    """Appends rows to path; a column that was not measured is empty."""

    def __init__(self, path: Path, last_step: int | None = None) -> None:
        """Of a file that is there, the rows up to last_step are kept: the run goes on from the state after it.

        Rows carry the number of steps before theirs, and those of a validation after training the number of all.
        """
        super().__init__()
        self.path = path
        self._rows: list[Mapping[str, Any]] = []
        self._columns, earlier = _read(path)
        kept = [row for row in earlier if last_step is None or _belongs(row, last_step)]
        if len(kept) < len(earlier):
            self._rewrite(kept, self._columns)

    @property
    def name(self) -> str:
        """Nothing to tell runs apart by: each has its own file."""
        return ""

    @property
    def version(self) -> str:
        """As name."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Note a row."""
        self._rows.append({**metrics, "step": step})
        if len(self._rows) >= _HELD:
            self.save()

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: .hydra has them."""

    @rank_zero_only
    def save(self) -> None:
        """Write the rows noted; where the disk does not take them, they are noted still and the file is as it was."""
        columns = sorted({*self._columns, *(name for row in self._rows for name in row)})
        try:
            if columns != self._columns:
                self._rewrite([*_read(self.path)[1], *self._rows], columns)
            elif self._rows:
                self._append(self._rows)
        except OSError as error:
            print(f"{self.path} could not be written: {error.strerror}. Training goes on.", file=sys.stderr)
        else:
            self._rows = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()

    def _append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        size = self.path.stat().st_size
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerows(rows)
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, size)
            raise

    def _rewrite(self, rows: Iterable[Mapping[str, Any]], columns: list[str]) -> None:
        beside = self.path.with_name(f"{self.path.name}.part")
        try:
            with beside.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
            beside.replace(self.path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        self._columns = columns


def _belongs(row: Mapping[str, str], last_step: int) -> bool:
    step = int(row["step"])
    return step < last_step or (step == last_step and any(row[name] for name in row if name.startswith("val/")))


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and whole rows of a file; none of one that is not there or no table of figures."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")  # one bad byte costs one figure
    except OSError:
        return [], []
    reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())  # a kill may have cut the last line short
    rows = [row for row in reader if None not in row.values() and None not in row and row.get("step", "").isdecimal()]
    return list(reader.fieldnames or []), rows
