import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.training.callbacks.compilation import pays
from sprig.training.callbacks.observing import _Spikes


def wave(steps):
    return [3 + 0.1 * math.sin(step) - step / 1000 for step in range(steps)]


def test_a_loss_far_above_those_before_it_is_a_spike_and_what_is_usual_is_not_learnt_from_it():
    losses = wave(300)
    losses[200] = losses[201] = 9.0
    found = _Spikes().found(1, losses)
    assert [(spike.step, spike.loss) for spike in found] == [(201, 9.0), (202, 9.0)]
    assert found[1].usual == pytest.approx(2.8, abs=0.1)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_it_makes_no_difference_how_many_losses_are_read_at_once(sizes):
    losses = wave(sum(sizes))
    losses[-1] = 50.0
    whole = _Spikes().found(1, losses)
    spikes, parts, start = _Spikes(), [], 0
    for size in sizes:
        parts += spikes.found(start + 1, losses[start : start + size])
        start += size
    assert parts == whole and (len(whole) == 1) == (len(losses) > 50)


def test_a_loss_that_is_no_number_is_no_spike_and_spoils_nothing():
    losses = wave(120)
    losses[70] = math.nan
    losses[90] = math.inf
    losses[110] = 8.0
    assert [spike.step for spike in _Spikes().found(1, losses)] == [111]


def test_a_falling_loss_has_no_spikes():
    assert _Spikes().found(1, [8 * 0.99**step for step in range(500)]) == []


def test_minutes_of_training_pay_for_compilation_and_seconds_do_not():
    assert not pays(60, "cpu") and pays(1200, "cpu") and pays(float("inf"), "cpu")
    assert not pays(60, "cuda") and pays(300, "cuda")
