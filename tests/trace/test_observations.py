import math

from sprig.trace.observations import best_epoch, observe
from sprig.trace.records import Epoch


def epochs(*figures: tuple[float, float]) -> list[Epoch]:
    """One epoch for each pair of train and validation loss."""
    return [
        Epoch(number, 100 * number, 0, 0.0, {"train/loss": train, "val/loss": val})
        for number, (train, val) in enumerate(figures, start=1)
    ]


def test_the_first_epoch_sets_the_mark() -> None:
    assert observe(epochs((3.0, 2.5))) == "first figures: 2.500 to beat"


def test_a_best_epoch_is_told_with_its_gain_over_the_best_before_it() -> None:
    assert observe(epochs((3.0, 2.0), (2.0, 2.5), (1.5, 1.75))) == "best so far: val loss -0.250"


def test_a_gain_too_small_for_three_decimals_is_not_told_as_zero() -> None:
    assert observe(epochs((3.0, 2.0), (2.0, 1.9999))) == "best so far by under 0.001"


def test_overfitting_is_train_falling_while_validation_rises() -> None:
    assert observe(epochs((3.0, 2.0), (2.0, 2.1))) == "overfitting: train falls while val rises"


def test_no_gain_counts_the_epochs_since_the_best() -> None:
    assert observe(epochs((3.0, 2.0), (3.1, 2.1))) == "no gain for 1 epoch"
    assert observe(epochs((3.0, 2.0), (2.9, 2.3), (2.8, 2.2))) == "no gain for 2 epochs"


def test_an_equal_loss_is_no_gain() -> None:
    assert observe(epochs((3.0, 2.0), (2.5, 2.0))) == "no gain for 1 epoch"


def test_a_loss_that_is_not_finite_comes_before_everything_else() -> None:
    assert observe(epochs((3.0, 2.0), (math.nan, 1.0))) == "train/loss is nan: training has diverged"
    assert observe(epochs((3.0, 2.0), (2.0, math.inf))) == "val/loss is inf: training has diverged"


def test_the_first_finite_loss_after_a_divergence_sets_the_mark_anew() -> None:
    assert observe(epochs((3.0, math.nan), (2.0, 2.5))) == "first figures: 2.500 to beat"


def test_an_epoch_without_validation_says_so() -> None:
    assert observe([Epoch(1, 100, 0, 0.0, {"train/loss": 2.0})]) == "not validated"


def test_within_an_epoch_the_distance_from_the_best_is_in_steps() -> None:
    several = epochs((3.0, 2.0), (3.1, 2.1))
    several[1].epoch = 1
    assert observe(several) == "no gain for 100 steps"


def test_the_best_epoch_is_the_first_of_equals_and_never_nan() -> None:
    several = epochs((3.0, math.nan), (2.0, 1.5), (1.0, 1.5))
    assert best_epoch(several) is several[1]
    assert best_epoch(several, "train/loss", "max") is several[0]
    assert best_epoch(several, "val/accuracy") is None
