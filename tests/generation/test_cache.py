"""A cache changes how often a position is computed, and nothing else."""

import pytest
import torch

from random_models import SHAPES, random_model
from sprig.generation.cache import Cache

IDS = torch.randint(257, (3, 24), generator=torch.Generator().manual_seed(3))
PIECES = {
    "one token, then one by one": [1] * 24,
    "a prompt, then one by one": [9] + [1] * 15,
    "several tokens at a time": [5, 7, 1, 11],
    "one token, then several": [1, 23],
}


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("shape", SHAPES)
def test_reading_in_pieces_gives_the_logits_of_reading_at_once(shape: str, pieces: str) -> None:
    model = random_model(**SHAPES[shape])
    cache = Cache(num_hidden_layers=3, capacity=24)
    with torch.no_grad():
        expected = model(IDS)
        logits = torch.cat([model(piece, cache) for piece in IDS.split(PIECES[pieces], dim=1)], dim=1)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_length_counts_the_positions_that_every_layer_has_stored() -> None:
    cache = Cache(num_hidden_layers=2, capacity=4)
    keys = torch.ones(1, 1, 3, 2)
    cache.update(0, keys, keys)
    assert cache.length == 0
    cache.update(1, keys, keys)
    assert cache.length == 3


def test_keys_and_values_come_back_in_order_and_in_their_own_type() -> None:
    cache = Cache(num_hidden_layers=1, capacity=4)
    first, second = torch.randn(2, 2, 3, 2).bfloat16(), torch.randn(2, 2, 1, 2).bfloat16()
    cache.update(0, first, -first)
    keys, values = cache.update(0, second, -second)
    assert keys.dtype == values.dtype == torch.bfloat16
    assert torch.equal(keys, torch.cat((first, second), dim=2))
    assert torch.equal(values, -keys)


def test_more_positions_than_the_capacity_are_refused() -> None:
    cache = Cache(num_hidden_layers=1, capacity=4)
    keys = torch.ones(1, 1, 3, 2)
    cache.update(0, keys, keys)
    with pytest.raises(AssertionError, match="6 positions in a cache of 4"):
        cache.update(0, keys, keys)


def test_rows_that_are_kept_go_on_as_if_alone() -> None:
    model = random_model()
    cache, alone = Cache(num_hidden_layers=3, capacity=24), Cache(num_hidden_layers=3, capacity=24)
    with torch.no_grad():
        model(IDS[:, :10], cache)
        cache.keep([2, 0])
        logits = model(IDS[[2, 0], 10:11], cache)
        model(IDS[[2, 0], :10], alone)
        torch.testing.assert_close(logits, model(IDS[[2, 0], 10:11], alone), rtol=0, atol=1e-5)
