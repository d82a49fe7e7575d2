import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.training.schedule import learning_rate_factor


@given(total=st.integers(1, 500), warmup=st.floats(0, 0.4), warmdown=st.floats(0, 0.6))
def test_every_step_has_a_positive_rate_of_at_most_the_peak(total, warmup, warmdown):
    assert all(0 < learning_rate_factor(step, total, warmup, warmdown) <= 1 for step in range(total + 3))


def test_it_rises_stays_and_falls_to_almost_nothing():
    factors = [learning_rate_factor(step, 1000, 0.1, 0.4) for step in range(1000)]
    assert factors[0] < 0.02 and factors[50] < factors[90] < 1
    assert set(factors[100:599]) == {1.0}
    assert factors[700] > factors[999] and factors[999] < 0.003
    assert factors[800] == pytest.approx(0.5, abs=0.01)
