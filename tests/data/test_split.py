import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.deduplication import first_of_each, text_key
from sprig.data.split import split

groups = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60).filter(lambda names: len(set(names)) > 1)


@given(names=groups, seed=st.integers(0, 9), share=st.sampled_from([0.01, 0.2, 0.5, 0.99]))
def test_no_group_stands_on_both_sides_and_no_document_is_lost(names, seed, share):
    train, val = split(names, share, seed)
    assert not {names[place] for place in train} & {names[place] for place in val}
    assert sorted([*train, *val]) == list(range(len(names)))
    assert len(train) and len(val)


@pytest.mark.parametrize("seed", range(8))
def test_a_group_of_more_than_the_share_that_is_held_out_is_trained_on(seed):
    train, val = split(["large"] * 900 + ["small"] * 20, 0.2, seed)
    assert (len(train), len(val)) == (900, 20)
    names = ["large"] * 400 + [f"small_{n % 30}" for n in range(600)]
    train, val = split(names, 0.2, seed)
    assert (len(train), len(val)) == (800, 200) and {names[place] for place in val}.isdisjoint({"large"})
    train, val = split(["a"] * 30 + ["b"] * 31 + ["c"] * 32, 0.2, seed)  # all of them: the smallest is held out
    assert len(val) == 30


def test_documents_of_their_own_groups_split_80_to_20_exactly():
    train, val = split([str(n) for n in range(1000)], 0.2, 0)
    assert (len(train), len(val)) == (800, 200)


def test_the_seed_decides_the_split_and_the_order_of_reading_does_not():
    names = [str(n) for n in range(50)]
    first = {names[place] for place in split(names, 0.2, 1)[1]}
    assert {names[::-1][place] for place in split(names[::-1], 0.2, 1)[1]} == first
    assert {names[place] for place in split(names, 0.2, 2)[1]} != first


def test_the_split_is_that_of_earlier_versions_for_checkpoints_name_what_they_learnt_from():
    train, val = split([f"g{n * 7 % 5}" for n in range(12)], 0.3, 4)
    assert (train.tolist(), val.tolist()) == ([1, 10, 3, 6, 11, 0, 5, 8], [2, 9, 7, 4])


def test_of_many_documents_a_split_takes_a_hundred_bytes_each_at_most():
    names = [f"some/folder/file_{n}.py" for n in range(50_000)]
    tracemalloc.start()
    split(names, 0.2, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * len(names)


def test_a_single_group_cannot_be_split():
    with pytest.raises(ValueError, match="validation split is empty: all 3 documents belong to one group"):
        split(["only"] * 3, 0.2, 0)


def test_of_copies_that_differ_in_white_space_only_the_first_is_kept():
    texts = ["def f(x): return x", "def f(x):\n    return x\n", "def f(y): return y", "def f(x): return  x"]
    keys = np.array([list(bytes.fromhex(text_key(text))) for text in texts], dtype=np.uint8)
    assert first_of_each(keys).tolist() == [True, False, True, False]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_keys_are_told_apart_whatever_bytes_they_have(values):
    keys = np.zeros((len(values), 32), dtype=np.uint8)
    keys[:, 7] = values  # the last 24 bytes are zero
    assert first_of_each(keys).tolist() == [value not in values[:place] for place, value in enumerate(values)]


def test_telling_duplicates_apart_takes_little_more_than_the_keys():
    keys = np.random.default_rng(0).integers(0, 256, (50_000, 32), dtype=np.uint8)
    tracemalloc.start()
    assert first_of_each(keys).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(keys)


def test_words_run_together_are_no_copy():
    assert text_key("return x") != text_key("returnx")
