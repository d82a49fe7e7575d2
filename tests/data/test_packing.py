from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.corpus import Corpus, encode
from sprig.data.documents import Document
from sprig.data.packing import Rows, pack, windows
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)  # bytes only: a token is a byte
layouts = st.sampled_from(["padded", "packed"])
lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def corpus_of(lengths: list[int]) -> Corpus:
    """Document n holds ids that no other has, in order, and end of text."""
    starts = np.concatenate(([0], np.cumsum(lengths)))
    ids = 10 + np.arange(starts[-1])
    ids[starts[1:] - 1] = TOKENIZER.end_of_text
    return Corpus(ids, starts, np.zeros(len(lengths), dtype=np.int32))


def pieces(rows: Rows) -> list[tuple[int, int, int]]:
    """(document, start, length) of each piece, in the order of the rows."""
    return list(
        zip(rows.piece_documents.tolist(), rows.piece_starts.tolist(), rows.piece_lengths.tolist(), strict=True)
    )


def packed(texts: list[str], seq_len: int, layout: str, header: int = 0) -> Rows:
    documents = [Document(text, str(number), str(number), header) for number, text in enumerate(texts)]
    return pack(encode(documents, TOKENIZER), seq_len, layout)


@given(lengths=lengths, seq_len=st.integers(1, 50), layout=layouts)
def test_every_token_is_a_target_once_and_a_documents_in_their_order(lengths, seq_len, layout):
    corpus = corpus_of(lengths)
    rows = pack(corpus, seq_len, layout)
    seen: list[list[int]] = [[] for _ in lengths]
    for document, start, length in pieces(rows):
        seen[document] += range(start, start + length)
    assert seen == [list(range(corpus.starts[n], corpus.starts[n + 1])) for n in range(len(lengths))]
    assert rows.tokens == corpus.tokens and rows.lengths.max() <= seq_len and rows.lengths.min() > 0


@given(lengths=lengths, seq_len=st.integers(1, 50), layout=layouts)
def test_a_row_reads_as_its_pieces_behind_the_token_that_precedes_them(lengths, seq_len, layout):
    corpus = corpus_of(lengths)
    rows = pack(corpus, seq_len, layout)
    read = rows.read(np.arange(len(rows)))
    for number in range(len(rows)):
        mine = pieces(rows)[rows.first_piece[number] : rows.first_piece[number + 1]]
        expected = [id for _, start, length in mine for id in corpus.ids[start : start + length]]
        document, start, _ = mine[0]
        before = TOKENIZER.end_of_text if start == corpus.starts[document] else corpus.ids[start - 1]
        padding = [TOKENIZER.pad] * (seq_len - len(expected))
        assert read.ids[number].tolist() == [before, *expected, *padding]
        ordinals = [ordinal for ordinal, (_, _, length) in enumerate(mine) for _ in range(length)]
        assert read.documents[number].tolist() == [-1, *ordinals, *[-1] * len(padding)]


@given(lengths=lengths, seq_len=st.integers(1, 50))
def test_a_packed_document_is_cut_no_more_often_than_it_has_to_be(lengths, seq_len):
    documents = [document for document, _, _ in pieces(pack(corpus_of(lengths), seq_len, "packed"))]
    assert np.bincount(documents).tolist() == [-(-length // seq_len) for length in lengths]


@given(lengths=lengths, seq_len=st.integers(1, 50))
def test_within_a_packed_row_each_document_follows_an_end_of_text_or_its_own_token(lengths, seq_len):
    corpus = corpus_of(lengths)
    rows = pack(corpus, seq_len, "packed")
    for number in range(len(rows)):
        mine = pieces(rows)[rows.first_piece[number] : rows.first_piece[number + 1]]
        for (_, start, length), (document, next_start, _) in pairwise(mine):
            assert corpus.ids[start + length - 1] == TOKENIZER.end_of_text
            assert next_start == corpus.starts[document]


def test_documents_that_fit_together_leave_no_padding():
    assert pack(corpus_of([7, 3, 6, 4, 5, 5]), 10, "packed").padding == 0


def test_of_long_documents_the_rests_share_rows():
    rows = pack(corpus_of([17, 13]), 10, "packed")
    assert rows.lengths.tolist() == [10, 10, 10] and rows.padding == 0


def test_packing_is_the_same_each_time():
    lengths = np.random.default_rng(0).integers(1, 90, 500).tolist()
    assert pieces(pack(corpus_of(lengths), 64, "packed")) == pieces(pack(corpus_of(lengths), 64, "packed"))


def test_a_padded_row_holds_one_document_and_padding():
    rows = packed(["ab", "abcd"], 6, "padded")
    assert len(rows) == 2
    assert rows.lengths.tolist() == [3, 5]
    assert (rows.read(np.array([0])).ids[0, 4:] == TOKENIZER.pad).all()
    assert rows.padding == pytest.approx(1 - 8 / 12)


def test_a_document_longer_than_a_row_goes_on_in_the_next():
    rows = packed(["abcdefgh"], 4, "padded")
    read = rows.read(np.arange(3))
    assert rows.lengths.tolist() == [4, 4, 1]
    assert read.ids[1, 0] == read.ids[0, 4]


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_the_body_is_what_follows_the_header_and_its_end_of_text(layout):
    rows = packed(["f():xy", "g():z"], 32, layout, header=4)
    read = rows.read(np.arange(len(rows)))
    assert read.body[read.documents >= 0].tolist() == [False] * 4 + [True] * 3 + [False] * 4 + [True] * 2


def test_documents_without_a_header_have_no_body():
    assert not packed(["abc"], 8, "padded").read(np.array([0])).body.any()


def test_no_documents_make_no_rows():
    assert len(packed([], 8, "packed")) == 0


@given(lengths=lengths, seq_len=st.integers(1, 50), data=st.data())
def test_windows_have_every_token_as_a_target_once_and_much_before_it(lengths, seq_len, data):
    stride = data.draw(st.integers(1, seq_len))
    corpus = corpus_of(lengths)
    rows = windows(corpus, seq_len, stride)
    read = rows.read(np.arange(len(rows)))
    counted: list[int] = []
    for ids, documents, start, document in zip(
        read.ids, read.documents, rows.piece_starts, rows.piece_documents, strict=True
    ):
        for column in np.flatnonzero(documents >= 0):
            token = start + column - 1
            assert ids[column] == corpus.ids[token]
            seen = column - 1 + (start > corpus.starts[document])  # the token before the window is its first input
            assert seen >= min(seq_len - stride, token - corpus.starts[document])
            counted.append(token)
    assert sorted(counted) == list(range(corpus.starts[-1]))
    assert rows.tokens == corpus.tokens and rows.lengths.tolist() == (read.documents >= 0).sum(1).tolist()
