import re

import pytest

from drawn import drawn
from sprig.trace.records import Epoch, Funnel, Generation, Run, Stage, Trace
from sprig.trace.terminal import (
    draw_completion,
    draw_evaluation,
    draw_final,
    draw_funnel,
    draw_stage,
    draw_training_trace,
)


def stage(**changed: object) -> Stage:
    plain = {
        "name": "Raw code dataset",
        "input_shape": "source snippets",
        "operation": "collect",
        "output_shape": "10,000 documents",
        "seconds": 2.314,
        "sample": "def add(a, b): return a + b",
        "counts": {"kept": 10_000, "left out: not UTF-8": 3},
    }
    return Stage(**plain | changed)  # type: ignore[arg-type]


def epochs(count: int = 3, **more: float) -> list[Epoch]:
    """Epochs whose validation loss is best in the second."""
    losses = [2.0, 1.0, *[1.5] * count]
    return [
        Epoch(n, 250 * n, 190_000 * n, 22.5 * n, {"train/loss": 3 / n, "val/loss": losses[n - 1]} | more, f"said {n}")
        for n in range(1, count + 1)
    ]


def test_a_stage_shows_shapes_operation_seconds_sample_and_counts_in_five_lines() -> None:
    assert drawn(draw_stage(stage(), 1)) == (
        "1/6 Raw code dataset  2.31 s\n"
        "    source snippets → collect\n"
        "    → 10,000 documents\n"
        "    sample    def add(a, b): return a + b\n"
        "    counts    kept 10,000\n"
        "    left out  not UTF-8 3"
    )


def test_a_stage_takes_at_most_six_lines_whatever_its_sample() -> None:
    page = drawn(draw_stage(stage(sample="def f():\n" + "    x = '[bold]'\n" * 9999), 2), width=100)
    assert page.count("\n") == 5
    assert "def f():↵    x = '[bold]'↵" in page


def test_what_was_not_recorded_of_a_stage_is_left_out() -> None:
    assert drawn(draw_stage(stage(seconds=None, sample=None, counts={}), 6)) == (
        "6/6 Raw code dataset\n    source snippets → collect\n    → 10,000 documents"
    )


def test_markup_in_shapes_and_counts_is_text() -> None:
    page = drawn(draw_stage(stage(output_shape="[red]a[/red]", counts={"left out: [b]": 1}), 1))
    assert "→ [red]a[/red]" in page and "left out  [b] 1" in page


def test_the_training_trace_has_a_row_an_epoch_and_only_measured_columns() -> None:
    head, *rows = drawn(draw_training_trace(epochs())).splitlines()[3:7]
    assert head.split() == ["epoch", "loss", "loss", "observation"]
    assert [row.split(None, 3) for row in rows] == [
        ["1", "3.000", "2.000", "said 1"],
        ["2", "1.500", "1.000", "said 2"],
        ["3", "1.000", "1.500", "said 3"],
    ]


def test_a_figure_that_one_epoch_lacks_is_a_dash() -> None:
    several = epochs()
    several[1].metrics["val/accuracy"] = 0.5
    rows = drawn(draw_training_trace(several)).splitlines()[4:7]
    assert [row.split()[3] for row in rows] == ["-", "0.500", "-"]


def test_steps_are_shown_where_epochs_are_validated_more_than_once() -> None:
    several = epochs()
    assert "step" not in drawn(draw_training_trace(several))
    several[1].epoch = 1
    assert re.search(r"^ +1 +500 ", drawn(draw_training_trace(several)), re.MULTILINE)


def test_both_ways_to_count_padding_are_shown_and_named() -> None:
    padding = {"val/accuracy": 0.8, "val/padded_loss": 0.5, "val/padded_accuracy": 0.9}
    page = drawn(draw_training_trace(epochs(**padding)))
    assert re.search(r"honest +loss 1.500 +accuracy 0.800 +over tokens only", page)
    assert re.search(r"padded +loss 0.500 +accuracy 0.900 +over all positions", page)
    assert "honest" not in drawn(draw_training_trace(epochs()))


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_figure_of_the_training_trace_is_lost_in_a_narrow_terminal(width: int) -> None:
    names = ("val/accuracy", "val/body_loss", "val/body_accuracy", "val/exact", "val/runs", "val/bits_per_byte")
    figures = {name: 0.111 * place for place, name in enumerate(names, start=1)}
    page = drawn(draw_training_trace(epochs(**figures)), width=width)
    assert "2  1.500  1.000     0.111  0.222     0.333  0.444  0.555     0.666" in page


def test_a_run_without_validation_can_be_drawn() -> None:
    assert "nothing was validated" in drawn(draw_training_trace([]))
    assert "none, val/loss was not measured" in drawn(draw_final(Trace(Run("id", "command", "now")), "best", []))


def test_the_end_of_a_run_shows_its_best_epoch_and_not_its_last() -> None:
    trace = Trace(Run("id", "command", "now", seconds=141.0), epochs=epochs(**{"val/padded_loss": 0.1}))
    page = drawn(draw_final(trace, "out/checkpoints/best", ["python src/sample.py prompt='[b]'"]))
    assert "epoch 2, step 500, by val/loss" in page
    assert re.search(r"val/loss +1.000", page) and "padded" not in page
    assert "570,000, padding not counted" in page and "8,444 tokens/s" in page and "2 min 21 s" in page
    assert "    python src/sample.py prompt='[b]'" in page.splitlines()


def test_the_best_epoch_follows_the_monitored_metric() -> None:
    trace = Trace(Run("id", "command", "now"), epochs=epochs())
    assert "epoch 1, step 250, by train/loss" in drawn(draw_final(trace, "best", [], "train/loss", "max"))


def test_path_and_commands_can_be_copied_from_a_narrow_terminal() -> None:
    path, command = "outputs/" + "x" * 90, "python src/sample.py ckpt=last prompt='def multiply(a, b):'"
    page = drawn(draw_final(Trace(Run("id", "command", "now")), path, [command]), width=30)
    assert path in page and command in page


def test_a_completion_is_shown_as_the_code_that_it_is() -> None:
    result = Generation("def f(a):", "\n    return [a]", [1], "context full", 10.0)
    assert drawn(draw_completion(result, "held out")) == (
        "    held out  def f(a):\n    becomes   def f(a):\n                  return [a]  (stopped: context full)"
    )


def test_an_evaluation_shows_every_figure() -> None:
    page = drawn(draw_evaluation("out/best", "3 documents", {"val/bits_per_byte": 0.5, "val/loss": 1.0}))
    assert page.splitlines()[1:] == [
        "    checkpoint  out/best",
        "    measured on 3 documents",
        "                val/loss           1.000",
        "                val/bits_per_byte  0.500",
    ]


def test_the_funnel_shows_what_was_left_out_replaced_and_kept() -> None:
    funnel = Funnel(
        unread={"link": 5},
        documents=1200, bytes=5_000_000, dropped={"empty file": 3}, redacted={"e-mail": 7},
        made=1197, made_bytes=4_900_000, surplus={"near duplicate": 150},
        kept_documents=1047, kept_bytes=4_000_000, licenses={"MIT": 1000, "unknown": 47}, tokens=1_000_000,
        lengths={"1-1": 1, "2-2": 0, "3-4": 40}, padding=0.0042, seconds=2.0,
        examples={"empty file": "a/b.py"},
    )  # fmt: skip
    text = drawn(draw_funnel(funnel))
    for words in ("-150", "near duplicate", "empty file", "e-mail", "1,047", "under MIT", "2.5 MB/s", "0.42%", "4.000"):
        assert words in text
    starts = ["passed over: link", "given by", "left out: empty", "replaced in them:", "left out: near", "kept"]
    places = [text.index(start) for start in starts]
    assert places == sorted(places) and "functions in them" not in text
    funnel.made = 9_000
    assert ["functions", "in", "them", "9,000", "4,900,000"] in map(str.split, drawn(draw_funnel(funnel)).splitlines())
    [line] = [line for line in text.splitlines() if "empty file" in line]
    assert line.split()[-3:] == ["-3", "a/b.py", "..."]
    bars = [line.count("#") for line in text.splitlines()[-3:]]
    assert bars == [1, 0, 40]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_path_takes_the_room_that_the_counts_need(width: int) -> None:
    funnel = Funnel(
        documents=1_234_567, bytes=5_000_000_123, dropped={"empty file": 65_432}, examples={"empty file": "a/" * 100}
    )
    page = drawn(draw_funnel(funnel), width)
    for count in ("1,234,567", "5,000,000,123", "-65,432", "empty file"):
        assert count in page


def test_what_strangers_wrote_is_text_without_control_characters_wherever_it_is_drawn() -> None:
    odd = "[/mit] \x1b]0;x\x07"
    funnel = Funnel(
        dropped={odd: 1}, examples={odd: odd}, redacted={odd: 1}, licenses={odd: 1, "[mit]": 1}, lengths={odd: 1}
    )
    pages = [
        draw_funnel(funnel),
        draw_stage(stage(counts={odd: 1, f"left out: {odd}": 1}), 1),
        draw_evaluation("a", odd, {}),
        draw_final(Trace(Run("r", "c", "s")), "a", [f"python src/sample.py prompt='{odd}'"]),
        draw_training_trace([Epoch(1, 1, 1, 1.0, {f"val/{odd}": 1.0}, odd)]),
    ]
    for page, times in zip(pages, (5, 2, 1, 1, 1), strict=True):
        assert drawn(page).count("[/mit] \\x1b]0;x\\x07") == times
        assert "\x1b" not in drawn(page)
    assert "under [mit]" in drawn(pages[0])


def test_of_many_licences_and_reasons_the_first_are_shown_and_the_others_summed() -> None:
    many = {f"LicenseRef-{n}": 1 for n in range(10_000)}
    page = drawn(draw_funnel(Funnel(licenses=many, dropped=many))).splitlines()
    assert [line.split() for line in page if "others" in line] == [
        ["left", "out:", "9,970", "others", "-9,970"],
        ["under", "9,970", "others", "9,970"],
    ]
    counts = {f"left out: licence {name}": 1 for name in many}
    assert drawn(draw_stage(stage(counts=counts), 1)).endswith("licence LicenseRef-29 1, 9,970 others 9,970")
