"""What may be drawn, and how often."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from sprig.generation.config import SamplingConfig
from sprig.generation.sampling import choose, distribution, generator_for

# Whole numbers, so that ties are common: near ones, all likely, or far ones, some of probability 0 in float32.
logits_rows = st.one_of(
    st.lists(st.integers(-width, width), min_size=1, max_size=40).map(lambda row: torch.tensor([row]).float())
    for width in (3, 150)
)
temperatures = st.floats(0.05, 5)
any_time = settings(deadline=None)  # a busy machine is no failure


def allowed(probabilities: Tensor) -> set[int]:
    return set(probabilities[0].nonzero()[:, 0].tolist())


@any_time
@given(logits_rows, temperatures, st.none() | st.integers(1, 50), st.floats(0.01, 1))
def test_every_distribution_sums_to_one_and_leaves_the_likeliest(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float
) -> None:
    probabilities = distribution(logits, SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p))
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5)
    assert int(logits.argmax()) in allowed(probabilities)


@any_time
@given(logits_rows, temperatures, st.integers(1, 50))
def test_top_k_leaves_the_k_likeliest_and_the_lower_ids_of_equals(
    logits: Tensor, temperature: float, top_k: int
) -> None:
    order = sorted(range(logits.shape[1]), key=lambda id: (-float(logits[0, id]), id))
    probabilities = distribution(logits, SamplingConfig(temperature=temperature, top_k=top_k))
    assert allowed(probabilities) <= set(order[:top_k])
    within = torch.tensor(order[:top_k])
    expected = (logits[0, within] / temperature).softmax(-1)
    torch.testing.assert_close(probabilities[0, within], expected, rtol=1e-3, atol=1e-6)


@any_time
@given(logits_rows, temperatures, st.floats(0.01, 0.99))
def test_top_p_leaves_the_fewest_likeliest_that_reach_p(logits: Tensor, temperature: float, top_p: float) -> None:
    whole = (logits.double() / temperature).softmax(-1)[0]
    left = allowed(distribution(logits, SamplingConfig(temperature=temperature, top_p=top_p)))
    masses = sorted((float(whole[id]) for id in left), reverse=True)
    rest = [float(whole[id]) for id in range(len(whole)) if id not in left]
    assert sum(masses) >= top_p - 1e-5
    assert sum(masses[:-1]) < top_p + 1e-5
    assert not rest or max(rest) <= masses[-1] + 1e-6


@any_time
@given(logits_rows, temperatures, st.integers(1, 40), st.floats(0.05, 0.95))
def test_top_p_counts_the_mass_that_top_k_left(logits: Tensor, temperature: float, top_k: int, top_p: float) -> None:
    both = distribution(logits, SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p))
    after_k = distribution(logits, SamplingConfig(temperature=temperature, top_k=top_k))
    in_turn = distribution(after_k.log().clamp(min=-1e4), SamplingConfig(temperature=1.0, top_p=top_p))
    masses = after_k[0].sort(descending=True).values.cumsum(-1)
    if (masses - top_p).abs().min() > 1e-4:  # else rounding decides
        torch.testing.assert_close(both, in_turn, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("top_k", [1, 5, 64, 1000])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95, 1.0])
def test_the_distribution_is_that_of_hugging_face(top_k: int, top_p: float) -> None:
    logits = 3 * torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    scores = logits
    for warper in (TemperatureLogitsWarper(0.7), TopKLogitsWarper(top_k), TopPLogitsWarper(top_p)):
        scores = warper(None, scores)
    probabilities = distribution(logits, SamplingConfig(temperature=0.7, top_k=top_k, top_p=top_p))
    torch.testing.assert_close(probabilities, scores.softmax(-1), rtol=1e-5, atol=1e-7)


def test_top_p_of_one_cuts_nothing() -> None:
    logits = torch.tensor([[0.0, 30.0, 0.0]])  # the likeliest alone has, rounded, a probability of 1
    for top_k in (None, 3):
        config = SamplingConfig(temperature=1.0, top_k=top_k, top_p=1.0)
        assert allowed(distribution(logits, config)) == {0, 1, 2}


def test_greedy_takes_the_lowest_id_among_equals_and_draws_nothing() -> None:
    logits = torch.tensor([[1.0, 4.0, 4.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    chance = [generator_for(0, 0, 0), generator_for(0, 1, 0)]
    states = [generator.get_state() for generator in chance]
    assert choose(logits, SamplingConfig(temperature=0.0), chance) == [1, 0]
    assert all(torch.equal(generator.get_state(), state) for generator, state in zip(chance, states, strict=True))
    assert distribution(logits, SamplingConfig(temperature=0.0)).argmax(-1).tolist() == [1, 0]


def test_top_k_of_one_is_greedy_whatever_the_seed() -> None:
    logits = torch.tensor([[1.0, 4.0, 4.0, 0.0]])
    config = SamplingConfig(temperature=2.0, top_k=1)
    assert {choose(logits, config, [generator_for(seed, 0, 0)])[0] for seed in range(20)} == {1}


@pytest.mark.parametrize("temperature", [1e-320, 1e-45, 1e-30, 1e-6])
def test_the_smallest_temperatures_are_greedy_and_not_nan(temperature: float) -> None:
    logits = torch.tensor([[80.0, -80.0, 90.0]])
    assert distribution(logits, SamplingConfig(temperature=temperature)).tolist() == [[0.0, 0.0, 1.0]]


def test_draws_are_as_frequent_as_they_are_probable() -> None:
    config = SamplingConfig(temperature=1.3, top_k=4, top_p=0.95)
    logits = torch.tensor([[2.0, 0.5, 1.5, -3.0, 0.0, 1.0]])
    expected = distribution(logits, config)[0]
    n = 20_000
    chance = generator_for(7, 0, 0)
    drawn = choose(logits.expand(n, -1), config, [chance] * n)
    counts = torch.bincount(torch.tensor(drawn), minlength=6)
    for count, probability in zip(counts.tolist(), expected.tolist(), strict=True):
        deviation = math.sqrt(n * probability * (1 - probability))
        assert abs(count - n * probability) <= 4 * deviation


@any_time
@given(logits_rows, st.integers(0, 10**9), st.none() | st.integers(1, 5), st.floats(0.1, 1))
def test_a_token_that_was_cut_is_never_drawn(logits: Tensor, seed: int, top_k: int | None, top_p: float) -> None:
    config = SamplingConfig(temperature=1.0, top_k=top_k, top_p=top_p)
    [chosen] = choose(logits, config, [generator_for(seed, 0, 0)])
    assert chosen in allowed(distribution(logits, config))


def test_every_seed_prompt_and_sample_draws_differently() -> None:
    triples = [(seed, prompt, sample) for seed in (-1, 0, 1, 2**70) for prompt in range(9) for sample in range(9)]
    draws = {float(torch.rand(1, dtype=torch.float64, generator=generator_for(*triple))) for triple in triples}
    assert len(draws) == len(triples)


def test_bfloat16_logits_are_computed_with_in_float32() -> None:
    logits = torch.randn(2, 500, generator=torch.Generator().manual_seed(1)).bfloat16()
    config = SamplingConfig(temperature=0.8, top_p=0.9)
    probabilities = distribution(logits, config)
    assert probabilities.dtype == torch.float32
    assert torch.equal(probabilities, distribution(logits.float(), config))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(value: float, temperature: float) -> None:
    logits = torch.zeros(2, 3)
    logits[1, 1] = value
    with pytest.raises(ValueError, match="1 of the model's 6 logits are nan or infinite"):
        choose(logits, SamplingConfig(temperature=temperature), [generator_for(0, n, 0) for n in range(2)])
