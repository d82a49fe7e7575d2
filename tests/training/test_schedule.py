import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.training.schedule import Progress, learning_rate_factor


@given(total=st.integers(1, 500), warmup=st.floats(0, 0.4), warmdown=st.floats(0, 0.6))
def test_every_step_has_a_positive_rate_of_at_most_the_peak(total, warmup, warmdown):
    progress = Progress(total)
    assert all(0 < learning_rate_factor(progress(step), warmup, warmdown) <= 1 for step in range(total + 3))


def test_it_rises_stays_and_falls_to_almost_nothing():
    progress = Progress(1000)
    factors = [learning_rate_factor(progress(step), 0.1, 0.4) for step in range(1000)]
    assert factors[0] < 0.02 and factors[50] < factors[90] < 1
    assert set(factors[100:599]) == {1.0}
    assert factors[700] > factors[999] and factors[999] < 0.003
    assert factors[800] == pytest.approx(0.5, abs=0.01)


def run_by_the_clock(limit, first, step, total_steps=float("inf")):
    """The progress before each step of a run whose first step and whose others take so many seconds."""
    seconds = 0.0
    progress = Progress(total_steps, lambda: (seconds, limit))
    seen = []
    while seconds < limit:
        seen.append(progress(len(seen)))
        seconds += step if len(seen) > 1 else first
    return seen


@given(limit=st.floats(10, 1000), step=st.floats(0.5, 2))
def test_by_the_clock_a_run_ends_when_its_rate_has_fallen(limit, step):
    seen = run_by_the_clock(limit, step, step)
    assert seen == sorted(seen) and 1 - seen[-1] <= 2 * step / limit + 1e-3


def test_a_first_step_that_compiles_takes_nothing_from_the_warm_up():
    seen = run_by_the_clock(limit=130, first=30, step=1)
    assert seen[:4] == [0.001, 0.001, pytest.approx(0.01), pytest.approx(0.02)]


def test_whichever_ends_the_run_first_decides():
    assert run_by_the_clock(limit=100, first=1, step=1, total_steps=10)[9] == pytest.approx(10 / 11)
    assert run_by_the_clock(limit=11, first=1, step=1, total_steps=1000)[6] == pytest.approx(0.5)


def test_a_run_that_goes_on_counts_from_where_its_first_part_did():
    progress = Progress(float("inf"), lambda: (55.0, 110.0))
    progress.first_seconds = 10.0
    assert progress(40) == pytest.approx(0.45)


def test_the_clock_is_asked_once_a_step_and_all_processes_go_by_the_one_that_is_furthest():
    asked: list[float] = []

    def agree(progress: float) -> float:
        asked.append(progress)
        return 0.75

    progress = Progress(float("inf"), lambda: (55.0, 110.0), agree)
    progress.first_seconds = 10.0
    assert [progress(40) for _ in range(3)] == [0.75] * 3 and asked == [pytest.approx(0.45)]
    assert progress(41) == 0.75 and len(asked) == 2
