import io
import os
from contextlib import nullcontext, suppress

import pytest
from rich.console import Console

from drawn import drawn
from sprig.trace.console import code_block, duration, figure, heading, number, one_line, open_console


def test_code_that_looks_like_markup_or_emoji_appears_as_it_is() -> None:
    assert drawn(one_line("x = '[bold]a[/bold] :smile: [/]'")) == "x = '[bold]a[/bold] :smile: [/]'"


def test_a_stock_console_does_not_read_markup_in_code_either() -> None:
    stream = io.StringIO()
    Console(file=stream).print(one_line("[red]a[/red] :smile:"))
    assert stream.getvalue() == "[red]a[/red] :smile:\n"


def test_no_control_character_reaches_the_terminal() -> None:
    hostile = "a\x1b[2Jb\x07\rc\x00\x9b1m\u202e\u2028\ud800\n\td"
    for shown in (drawn(one_line(hostile)), drawn(code_block(hostile))):
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert "\\x1b[2J" in shown


def test_code_on_one_line_is_cut_with_an_ellipsis_where_the_width_ends() -> None:
    assert drawn(one_line("abcdefgh"), width=5) == "abcd…"
    assert drawn(one_line("x" * 5_000_000)) == "x" * 159 + "…"


def test_a_line_break_in_code_is_shown_and_not_made() -> None:
    assert drawn(one_line("def f():\n    return 1")) == "def f():↵    return 1"


def test_a_code_block_keeps_its_lines_and_its_indentation() -> None:
    assert drawn(code_block("def f():\n\treturn '[b]'")) == "def f():\n    return '[b]'"


def test_output_that_is_no_terminal_has_no_colour_and_its_own_width() -> None:
    console = open_console(io.StringIO())
    console.print(one_line("x = 1", "bold red"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "x = 1\n"
    assert console.width == 160


def test_a_stream_that_cannot_write_a_character_gets_its_escape() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    open_console(stream).print("é → ß")
    assert raw.getvalue() == b"\\xe9 \\u2192 \\xdf\n"


def test_a_command_longer_than_the_console_stays_one_line() -> None:
    command = "python src/sample.py ckpt=last prompt='def multiply(a, b):'"
    assert drawn(command, width=20) == command


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.004, "0.00 s"),
        (2.314, "2.31 s"),
        (9.999, "10.00 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (7530, "2 h 5 min"),
    ],
)
def test_durations_are_said_in_their_own_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_counts_are_given_in_full_and_measures_to_four_digits() -> None:
    assert [number(value) for value in (10_000, 3.0, 3.41234, 0.00012345, 12345.6)] == [
        "10,000", "3", "3.412", "0.0001234", "12,346",
    ]  # fmt: skip


def test_figures_that_are_missing_or_not_finite_are_told_apart() -> None:
    assert [figure(value) for value in (None, float("nan"), float("inf"), 0.0, 12345.6)] == [
        "-", "nan", "inf", "0.000", "1.23e+04",
    ]  # fmt: skip


def test_headings_tell_train_from_validation_loss() -> None:
    assert [heading(name) for name in ("train/loss", "val/loss", "val/body_loss", "val/runs", "val/bits_per_byte")] == [
        "train\nloss", "val\nloss", "body\nloss", "\nruns", "bits per\nbyte",
    ]  # fmt: skip


def test_a_full_disk_is_no_reader_that_has_gone() -> None:
    full = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
    with pytest.raises(OSError, match="No space left"):
        open_console(full, lasting=True).print("x")
    with suppress(OSError):  # what could not be written is tried once more
        full.close()


@pytest.mark.parametrize("lasting", [True, False])
def test_without_a_reader_a_lasting_console_falls_silent_and_another_ends_what_is_done(
    lasting: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    console = open_console(stream, lasting=lasting)
    with nullcontext() if lasting else pytest.raises(BrokenPipeError):
        console.print("x")
        console.print("y")
    assert console.quiet == lasting
    assert capfd.readouterr().err.count("Nobody reads the output any longer") == lasting
    with suppress(OSError):
        stream.close()
