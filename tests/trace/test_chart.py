import math

from sprig.trace.chart import loss_chart
from sprig.trace.records import Epoch


def epochs(*figures: tuple[float, float]) -> list[Epoch]:
    """One epoch for each pair of train and validation loss."""
    return [
        Epoch(number, number, 0, 0.0, {"train/loss": train, "val/loss": val})
        for number, (train, val) in enumerate(figures, start=1)
    ]


def test_losses_stand_at_their_height_over_their_epoch() -> None:
    chart = loss_chart(epochs((8.0, 7.0), (2.0, 4.0), (1.0, 3.0)))
    assert chart is not None
    assert chart.plain.splitlines()[1:] == [
        "    8.000 |     o            ",
        "          |     *            ",
        "          |                  ",
        "          |                  ",
        "          |           *      ",
        "          |                 *",
        "          |           o      ",
        "    1.000 |                 o",
        "    epoch       1     2     3",
    ]


def test_one_epoch_makes_no_chart() -> None:
    assert loss_chart(epochs((3.0, 2.0))) is None
    assert loss_chart(epochs((3.0, 2.0), (math.nan, math.inf))) is None


def test_a_diverged_epoch_leaves_a_gap_and_not_an_error() -> None:
    chart = loss_chart(epochs((3.0, 2.0), (math.nan, math.nan), (1.0, 1.0)))
    assert chart is not None
    assert all(line[18:24].strip() in ("", "2") for line in chart.plain.splitlines()[1:])


def test_constant_losses_can_be_drawn() -> None:
    chart = loss_chart(epochs((1.0, 1.0), (1.0, 1.0)))
    assert chart is not None and chart.plain.count("*     *") == 1


def test_any_number_of_epochs_fits_80_columns_and_ends_with_the_last() -> None:
    for count in (7, 31, 60, 61, 1000):
        chart = loss_chart(epochs(*((1 + 1 / n, 2 + 1 / n) for n in range(1, count + 1))))
        assert chart is not None
        lines = chart.plain.splitlines()
        assert max(map(len, lines)) < 80
        assert lines[-1].split()[-1] == str(count)
