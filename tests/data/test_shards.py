import threading
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data import shards
from sprig.data.config import DataConfig
from sprig.data.corpus import Corpus
from sprig.data.loading import IGNORED, BatchLoader
from sprig.data.packing import Rows
from sprig.data.shards import Shards, shards_of
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, CodeTokenizer

CONFIG = DataConfig(seq_len=8, layout="packed")
TEXTS = [f"def f{n}(a):\n    return a + {n}\n" for n in range(30)]


@pytest.fixture(scope="module")
def tokenizer() -> CodeTokenizer:
    return CodeTokenizer.train(TEXTS, 300, FILL_IN_THE_MIDDLE)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    for name in ("SHARD", "FIRST_SHARD", "ONE_SHARD"):
        monkeypatch.setattr(shards, name, 20)


def corpus_of(lengths: list[int]) -> Corpus:
    """Every id is another."""
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return Corpus(np.arange(starts[-1], dtype=np.uint16), starts, np.zeros(len(lengths), dtype=np.int32))


def real(tokenizer: CodeTokenizer) -> Corpus:
    ids = [[*tokenizer.encode(text), tokenizer.end_of_text] for text in TEXTS]
    starts = np.concatenate(([0], np.cumsum([len(own) for own in ids])))
    return Corpus(np.concatenate(ids).astype(np.uint16), starts, np.zeros(len(ids), dtype=np.int32))


def targets(loader: BatchLoader) -> list[list[int]]:
    return [batch.targets[batch.targets != IGNORED].tolist() for batch in loader]


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(lengths=lengths)
def test_shards_have_every_document_once_and_about_as_many_tokens_each(lengths):
    corpus = corpus_of(lengths)
    made = shards_of(corpus, None, CONFIG)
    parts = [made.rows(0, number).corpus for number in range(len(made))]
    assert np.concatenate([part.ids for part in parts]).tolist() == corpus.ids.tolist()
    assert np.concatenate([part.lengths for part in parts]).tolist() == lengths
    assert all(part.tokens < 30 + max(lengths) for part in parts)
    assert [len(made.rows(0, number)) for number in range(len(made))] == list(made.counts(0))


@given(lengths=lengths, batch_size=st.integers(1, 5), seed=st.none() | st.integers(0, 3), trim=st.booleans())
def test_a_pass_over_several_shards_has_every_target_once(lengths, batch_size, seed, trim):
    loader = BatchLoader(shards_of(corpus_of(lengths), None, CONFIG), batch_size, seed=seed, trim=trim)
    for _ in range(2):
        announced = len(loader)
        batches = targets(loader)
        assert len(batches) == announced
        assert sorted(id for batch in batches for id in batch) == list(range(sum(lengths)))


@given(lengths=lengths, stop=st.integers(0, 12), seed=st.none() | st.integers(0, 3))
def test_a_loader_taken_up_again_in_any_shard_goes_on_with_the_next_batch(lengths, stop, seed):
    def loader() -> BatchLoader:
        return BatchLoader(shards_of(corpus_of(lengths), None, CONFIG), 3, seed=seed, trim=False)

    whole = loader()
    expected = [batch for _ in range(2) for batch in targets(whole)]
    first, second = loader(), loader()
    seen = []
    for batch in first:
        if len(seen) == stop:
            break
        seen.append(batch.targets[batch.targets != IGNORED].tolist())
        state = first.position()
    if seen:
        second.go_on_from(state)
    assert (seen + [batch for _ in range(2) for batch in targets(second)])[: len(expected)] == expected


@given(lengths=st.lists(st.integers(1, 30), min_size=20, max_size=40), processes=st.integers(2, 3))
def test_each_row_of_each_shard_goes_to_exactly_one_process(lengths, processes):
    def loader(rank: int, count: int) -> BatchLoader:
        made = shards_of(corpus_of(lengths), None, CONFIG)
        return BatchLoader(made, 4, seed=1, trim=False, rank=rank, processes=count)

    parts = [targets(loader(rank, processes)) for rank in range(processes)]
    assert [sorted(chain.from_iterable(own)) for own in zip(*parts, strict=True)] == list(
        map(sorted, targets(loader(0, 1)))
    )


def test_the_order_of_the_shards_changes_with_the_epoch_and_repeats_with_the_seed():
    def epochs(seed: int) -> list[list[list[int]]]:
        loader = BatchLoader(shards_of(corpus_of([10] * 40), None, CONFIG), 4, seed=seed, trim=False)
        return [targets(loader) for _ in range(2)]

    def shards_in_order(batches: list[list[int]]) -> list[int]:
        return list(dict.fromkeys(id // 20 for batch in batches for id in batch))

    assert epochs(1) == epochs(1) != epochs(2)
    first, second = epochs(1)
    assert sorted(shards_in_order(first)) == list(range(20)) != shards_in_order(first)
    assert shards_in_order(first) != shards_in_order(second)


@pytest.mark.parametrize(
    ("tokens", "sizes"),
    [(40, [40]), (41, [10, 20, 11]), (150, [10, 20, 40, 80]), (400, [10, 20, 40, 80, 80, 80, 90])],
)
def test_the_shards_of_a_large_corpus_grow_from_a_small_one(tokens, sizes, monkeypatch):
    for name, size in (("FIRST_SHARD", 10), ("ONE_SHARD", 40), ("SHARD", 80)):
        monkeypatch.setattr(shards, name, size)
    made = shards_of(corpus_of([1] * tokens), None, CONFIG)
    assert [made.rows(0, number).corpus.tokens for number in range(len(made))] == sizes


def test_every_pass_begins_with_the_shards_that_grow(monkeypatch):
    for name, size in (("FIRST_SHARD", 10), ("ONE_SHARD", 10), ("SHARD", 40)):
        monkeypatch.setattr(shards, name, size)
    loader = BatchLoader(shards_of(corpus_of([1] * 700), None, CONFIG), 4, seed=0, trim=False)
    orders = []
    for _ in range(3):
        read = [id for batch in targets(loader) for id in batch]
        orders.append(list(dict.fromkeys(0 if id < 10 else 1 if id < 30 else 2 + (id - 30) // 40 for id in read)))
    assert all(order[:2] == [0, 1] and sorted(order[2:]) == list(range(2, 19)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_the_next_shard_is_made_while_the_one_before_it_is_read():
    begun = [threading.Event() for _ in range(3)]

    def make(_: int, shard: int) -> Rows:
        begun[shard].set()
        return shards_of(corpus_of([8] * 2), None, CONFIG).rows(0, 0)

    batches = iter(BatchLoader(Shards(make, [2, 2, 2]), 1, seed=None, trim=False))
    next(batches)
    assert begun[1].wait(10) and not begun[2].is_set()
    assert len([*batches]) == 5


def test_what_goes_wrong_while_a_shard_is_made_ahead_is_raised_where_it_is_needed():
    def make(_: int, shard: int) -> Rows:
        if shard:
            raise ValueError("the store is gone")
        return shards_of(corpus_of([8] * 2), None, CONFIG).rows(0, 0)

    batches = iter(BatchLoader(Shards(make, [2, 2]), 1, seed=None, trim=False))
    next(batches), next(batches)
    with pytest.raises(ValueError, match="the store is gone"):
        next(batches)


@pytest.mark.parametrize("hanging", [0, 1])
def test_a_shard_that_never_comes_ends_the_run_with_a_sentence(hanging, monkeypatch):
    monkeypatch.setattr(shards, "PATIENCE", 0.2)
    never = threading.Event()

    def make(_: int, shard: int) -> Rows:
        if shard == hanging:
            never.wait(8)
        return shards_of(corpus_of([8] * 2), None, CONFIG).rows(0, 0)

    with pytest.raises(OSError, match=rf"Part {hanging + 1} of 2 of the training data has not come within 0\.2 s"):
        list(BatchLoader(Shards(make, [2, 2]), 1, seed=None, trim=False))
    never.set()


def test_a_store_that_gives_up_by_itself_is_heard():
    def make(_: int, shard: int) -> Rows:
        raise TimeoutError("the store says no")

    with pytest.raises(TimeoutError, match="the store says no"):
        Shards(make, [2, 2]).rows(0, 0)


def test_turned_documents_of_several_shards_fill_the_announced_batches_and_leave_the_rest(tokenizer):
    config = DataConfig(seq_len=8, layout="packed", fim_rate=0.9)
    corpus = real(tokenizer)
    loader = BatchLoader(shards_of(corpus, tokenizer, config), 2, seed=0, trim=False)
    plain = BatchLoader(shards_of(corpus, tokenizer, CONFIG), 2, seed=0, trim=False)
    announced = len(loader)
    first, second = targets(loader), targets(loader)
    assert len(first) == len(second) == announced == len(plain)
    assert first != second
    prefix = tokenizer.special_id(FILL_IN_THE_MIDDLE[0])
    turned = sum(id == prefix for batch in first for id in batch)
    assert len(TEXTS) // 2 < turned <= len(TEXTS)


def test_turned_documents_crowd_no_shard_out(tokenizer, monkeypatch):
    """What is more than was announced is left out of each shard, and none of them goes without."""
    for name, size in (("FIRST_SHARD", 100), ("ONE_SHARD", 100), ("SHARD", 400)):
        monkeypatch.setattr(shards, name, size)
    config = DataConfig(seq_len=16, layout="packed", fim_rate=1.0)
    made = shards_of(real(tokenizer), tokenizer, config)
    loader = BatchLoader(made, 2, seed=0, trim=False)
    assert len(made) > 2
    read = Counter(loader.position()["shard"] for _ in range(3) for _ in loader)
    assert read == {shard: 3 * -(-rows // 2) for shard, rows in enumerate(made.counts(0))}


def test_where_a_pass_stands_is_not_taken_for_a_place_among_other_shards(monkeypatch):
    corpus = corpus_of([5] * 50)
    before = shards_of(corpus, None, CONFIG).outline
    assert shards_of(corpus, None, CONFIG).outline == before
    monkeypatch.setattr(shards, "FIRST_SHARD", 10)
    assert shards_of(corpus, None, CONFIG).outline != before


def test_what_long_documents_span_is_one_shard_that_grows_at_most_once(monkeypatch):
    for name, size in (("FIRST_SHARD", 10), ("ONE_SHARD", 10), ("SHARD", 40)):
        monkeypatch.setattr(shards, name, size)
    made = shards_of(corpus_of([60] * 9), None, CONFIG)
    assert made.growing == 1 and len(made) == 9


def test_shards_of_a_pass_are_turned_each_with_draws_of_its_own(tokenizer, monkeypatch):
    config = DataConfig(seq_len=64, layout="packed", fim_rate=1.0)
    twice = real(tokenizer)
    size = len(twice.ids)
    same = Corpus(
        np.concatenate((twice.ids, twice.ids)),
        np.concatenate((twice.starts, twice.starts[1:] + size)),
        np.zeros(2 * len(twice), dtype=np.int32),
    )
    for name in ("SHARD", "FIRST_SHARD", "ONE_SHARD"):
        monkeypatch.setattr(shards, name, size)
    made = shards_of(same, tokenizer, config)
    assert len(made) == 2
    first, second = made.rows(0, 0).corpus.ids.tobytes(), made.rows(0, 1).corpus.ids.tobytes()
    assert first != second
    assert shards_of(same, tokenizer, config).rows(0, 1).corpus.ids.tobytes() == second
