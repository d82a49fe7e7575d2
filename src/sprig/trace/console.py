"""Where the trace is shown: a console for terminals and files alike, and the pieces its pages are made of.

Pages are rich's renderables: alignment and a little colour, no boxes. Code goes into them by `one_line`.
"""

import errno
import io
import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 160
"""Columns where output is no terminal: enough for every table, so that a log is not squeezed into 80."""
_SAMPLE = 2000  # characters of a sample that are looked at: more than a terminal is wide
_MARKS = {"\n": "↵", "\t": "\\t", "\r": "\\r"}


class _Console(Console):
    """What becomes of a run where nobody reads its output any longer: `| head` has seen enough, a terminal is gone."""

    lasting = False

    def print(self, *objects: Any, **options: Any) -> None:
        """Rich's own."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # the latter of a terminal that is gone
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Be silent from now on where the run goes on; else BrokenPipeError."""
        if not self.lasting:
            raise BrokenPipeError
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError):
            os.dup2(nowhere, self.file.fileno())
        try:
            os.write(2, b"Nobody reads the output any longer. The run goes on; see its trace.json.\n")
        except OSError:  # nor does anybody hear of errors
            os.dup2(nowhere, 2)


def open_console(stream: IO[str] | None = None, *, quiet: bool = False, lasting: bool = False) -> Console:
    """A console on stream, standard output if None; a terminal that is too narrow breaks the lines.

    Where its reader goes, a lasting one falls silent; with others, BrokenPipeError ends what is done.
    """
    out = stream or sys.stdout
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # code has characters that a latin-1 terminal has not
    # soft_wrap: no newline is put into a command or a path, which must survive being copied.
    console = _Console(file=stream, soft_wrap=True, markup=False, emoji=False, highlight=False, quiet=quiet)
    console.lasting = lasting
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def one_line(code: str, style: str = "cyan") -> Text:
    """Code as one line that is cut with an ellipsis where the space ends; what cannot be seen is escaped.

    That keeps control sequences from the terminal, and text that looks like rich's markup stays text. To be put
    into a page: rich does not cut a Text that is printed by itself.
    """
    shown = "".join(map(_visible, code[:_SAMPLE]))
    return Text(shown + "…" * (len(code) > _SAMPLE), style, no_wrap=True, overflow="ellipsis")


def code_block(code: str, style: str = "cyan") -> Text:
    """Code with its lines as they are; what cannot be seen is escaped as in one_line."""
    return Text(visible(code.expandtabs(4)), style)


def visible(code: str) -> str:
    """Code with its lines and tabs as they are, and everything else that a terminal would obey escaped."""
    return "".join(character if character in "\n\t" else _visible(character) for character in code)


def labelled(label: str, value: str | Text, indent: int) -> Table:
    """A dim label and its value, which starts at column indent in each of its lines; a str is escaped as by visible."""
    line = Table.grid()
    line.add_column(style="dim", no_wrap=True, min_width=indent)
    line.add_column(overflow="fold")
    line.add_row(label, Text(visible(value)) if isinstance(value, str) else value)
    return line


def bare_table() -> Table:
    """A table with dim headings and no lines."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


@dataclass
class AtLeast:
    """Draws a table as if there were at least so many columns: no figure is cut in a narrow terminal."""

    columns: int
    table: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.table, options.update(max_width=max(self.columns, options.max_width)))


def number(value: float) -> str:
    """A count in full, a measure to four digits: 10,000 and 3.412."""
    if math.isfinite(value) and value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def figure(value: float | None) -> str:
    """A metric to three decimals, a dash where it was not measured."""
    if value is None:
        return "-"
    return f"{value:.3f}" if not math.isfinite(value) or abs(value) < 1000 else f"{value:.3g}"


def heading(metric: str) -> str:
    """A metric's name in two short lines: val loss for "val/loss", body loss for "val/body_loss"."""
    split, _, name = metric.rpartition("/")
    *words, last = [split, name] if name == "loss" else name.split("_")
    return f"{' '.join(words)}\n{last}"


def duration(seconds: float) -> str:
    """Seconds as a person would say them: 2.31 s, 41 s, 1 min 52 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _visible(character: str) -> str:
    # isprintable is false for control characters, for the invisible ones that turn the direction of text
    # (CVE-2021-42574), and for lone surrogates, which no terminal takes.
    if character.isprintable():
        return character
    return _MARKS.get(character) or character.encode("unicode_escape").decode("ascii")
