import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.corpus import Corpus
from sprig.data.loading import IGNORED, BatchLoader
from sprig.data.packing import Rows, pack
from sprig.data.shards import Shards

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def rows_of(lengths: list[int], seq_len: int = 9) -> Rows:
    """Row n opens with end of text and goes on with 100 (n + 1) + 1, 100 (n + 1) + 2, ...; its header is one token."""
    ids = [100 * (number + 1) + 1 + k for number, length in enumerate(lengths) for k in range(length)]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return pack(Corpus(np.array(ids), starts, np.ones(len(lengths), dtype=np.int32)), seq_len, "padded")


def counted(loader: BatchLoader) -> list[int]:
    return sorted(int(id) for batch in loader for id in batch.targets[batch.targets != IGNORED])


@given(lengths=lengths, batch_size=st.integers(1, 7), trim=st.booleans(), seed=st.none() | st.integers(0, 3))
def test_an_epoch_has_every_target_once_and_no_padding_counts(lengths, batch_size, trim, seed):
    rows = rows_of(lengths)
    loader = BatchLoader(rows, batch_size, seed=seed, trim=trim)
    expected = sorted(100 * (n + 1) + k for n, length in enumerate(lengths) for k in range(1, length + 1))
    assert counted(loader) == expected
    batches = list(loader)
    assert len(batches) == len(loader)
    assert sum(batch.tokens for batch in batches) == rows.tokens
    assert all(batch.input_ids.shape[0] == batch_size for batch in batches)


@given(lengths=lengths, trim=st.booleans())
def test_targets_are_the_inputs_one_position_on(lengths, trim):
    rows = rows_of(lengths)
    for batch in BatchLoader(rows, 4, seed=0, trim=trim):
        known = batch.targets != IGNORED
        assert torch.equal(batch.targets[:, :-1][known[:, 1:]], batch.input_ids[:, 1:][known[:, 1:]])
        first = known & (batch.input_ids == rows.corpus.opening)
        assert (first.sum(1) == known.any(1)).all() and (batch.targets[first] % 100 == 1).all()
        assert torch.equal(batch.body, known & ~first)  # the header is one token long


@given(
    lengths=lengths, batch_size=st.integers(4, 7), trim=st.booleans(), seed=st.none() | st.integers(0, 3),
    processes=st.integers(2, 4),
)  # fmt: skip
def test_each_row_of_a_batch_goes_to_exactly_one_process(lengths, batch_size, trim, seed, processes):
    rows = rows_of(lengths)
    loaders = [
        BatchLoader(rows, batch_size, seed=seed, trim=trim, rank=r, processes=processes) for r in range(processes)
    ]
    whole = BatchLoader(rows, batch_size, seed=seed, trim=trim)
    for epoch in range(2):
        for batch, *parts in zip(whole, *loaders, strict=True):
            targets = [part.targets[part.targets != IGNORED].tolist() for part in parts]
            assert sorted(id for own in targets for id in own) == sorted(
                batch.targets[batch.targets != IGNORED].tolist()
            )
            assert [part.tokens for part in parts] == [len(own) for own in targets]
            assert {part.all_tokens for part in parts} == {batch.tokens}
            assert sum(part.positions for part in parts) == batch.positions
            assert len({part.input_ids.shape[0] for part in parts}) == 1
        assert {str(loader.position()) for loader in loaders} == {str(whole.position())}, epoch


def test_trimmed_batches_end_with_their_longest_row():
    loader = BatchLoader(rows_of([2, 9, 2, 9, 2, 9]), 3, seed=0, trim=True)
    assert sorted(batch.input_ids.shape[1] for batch in loader) == [2, 9]


def test_the_order_changes_with_the_epoch_and_repeats_with_the_seed():
    def epochs(seed: int) -> list[list[list[int]]]:
        loader = BatchLoader(rows_of([3] * 32), 8, seed=seed, trim=False)
        return [[batch.targets[:, 0].tolist() for batch in loader] for _ in range(2)]

    assert epochs(1) == epochs(1)
    assert epochs(1)[0] != epochs(1)[1]
    assert epochs(1) != epochs(2)


@given(lengths=lengths, stop=st.integers(0, 9), trim=st.booleans())
def test_a_loader_taken_up_again_goes_on_with_the_next_batch(lengths, stop, trim):
    def loader() -> BatchLoader:
        return BatchLoader(rows_of(lengths), 4, seed=5, trim=trim)

    whole = loader()
    expected = [batch.input_ids.tolist() for _ in range(2) for batch in whole]
    first, second = loader(), loader()
    state = first.position()
    seen = []
    for batch in first:
        if len(seen) == stop:
            break
        seen.append(batch.input_ids.tolist())
        state = first.position()
    if seen:
        second.go_on_from(state)
    rest = [batch.input_ids.tolist() for _ in range(2) for batch in second]
    assert (seen + rest)[: len(expected)] == expected


def test_a_loader_left_early_begins_anew():
    loader = BatchLoader(rows_of([3] * 8), 2, seed=None, trim=False)
    first = next(iter(loader))
    assert torch.equal(next(iter(loader)).input_ids, first.input_ids)


def test_rows_may_differ_from_epoch_to_epoch_and_so_may_their_number():
    def loader() -> BatchLoader:
        shards = Shards(lambda epoch, _: rows_of([3 + epoch] * (4 + 2 * epoch)), [4])
        return BatchLoader(shards, 2, seed=0, trim=False)

    whole = loader()
    sizes = []
    for _ in range(3):
        announced = len(whole)
        sizes.append([batch.tokens for batch in whole])
        assert len(sizes[-1]) == announced
    assert sizes == [[6] * 2, [8] * 3, [10] * 4]
    resumed = loader()
    resumed.go_on_from({"epoch": 1, "handed_out": 2, "shard": 0, "within": 2})
    assert len(resumed) == 3 and [batch.tokens for batch in resumed] == [8]
    assert [batch.tokens for batch in resumed] == [10] * 4


def test_a_shard_of_fewer_rows_than_announced_begins_once_more():
    """Lightning measures at the end of a pass only where it gets as many batches as it was told of."""
    made = {0: rows_of([5] * 4), 1: rows_of([5] * 9)}
    loader = BatchLoader(Shards(lambda _, shard: made[shard], [9, 9], growing=2), 2, seed=0, trim=False)
    first = [batch.targets.tolist() for batch in loader]
    assert len(first) == len(loader) == 10
    assert first[2:4] == first[:2] and first[4] == first[0] != first[1]
    loader.go_on_from({"epoch": 0, "handed_out": 3, "shard": 0, "within": 3})
    assert [batch.targets.tolist() for batch in loader] == first[3:]


def test_with_a_document_mask_positions_say_which_document_they_belong_to():
    corpus = Corpus(np.array([5, 1, 6, 7, 1]), np.array([0, 2, 5]), np.zeros(2, dtype=np.int32))
    [batch] = BatchLoader(pack(corpus, 7, "packed"), 2, seed=None, trim=False, document_mask=True)
    assert batch.targets[0].tolist() == [6, 7, 1, 5, 1, IGNORED, IGNORED]
    assert batch.documents.tolist() == [[0, 0, 0, 1, 1, -1, -1], [-1] * 7]
