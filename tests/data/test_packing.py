import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.documents import Document
from sprig.data.packing import encode_rows
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)  # bytes only: a token is a byte
texts = st.lists(st.text(alphabet="abc\n", min_size=1, max_size=40), min_size=1, max_size=8)


def documents(texts: list[str], header: int = 0) -> list[Document]:
    return [Document(text, str(number), str(number), header) for number, text in enumerate(texts)]


def targets(rows) -> list[int]:
    return [int(id) for row, length in zip(rows.ids, rows.lengths, strict=True) for id in row[1 : length + 1]]


@given(texts=texts, seq_len=st.integers(1, 50), layout=st.sampled_from(["padded", "packed"]))
def test_every_token_is_a_target_once_and_in_order(texts, seq_len, layout):
    rows = encode_rows(documents(texts), TOKENIZER, seq_len, layout)
    expected = [id for text in texts for id in [*TOKENIZER.encode(text), TOKENIZER.end_of_text]]
    assert targets(rows) == expected
    assert rows.tokens == len(expected)


@given(texts=texts, seq_len=st.integers(1, 50), layout=st.sampled_from(["padded", "packed"]))
def test_each_input_is_the_target_before_it(texts, seq_len, layout):
    rows = encode_rows(documents(texts), TOKENIZER, seq_len, layout)
    assert rows.ids[0, 0] == TOKENIZER.end_of_text
    for above, below in zip(rows.ids[:-1], rows.ids[1:], strict=True):
        assert below[0] in (above[seq_len], TOKENIZER.end_of_text)


@given(texts=texts, seq_len=st.integers(1, 50))
def test_packed_rows_are_full_but_the_last(texts, seq_len):
    rows = encode_rows(documents(texts), TOKENIZER, seq_len, "packed")
    assert (rows.lengths[:-1] == seq_len).all()


def test_a_padded_row_holds_one_document_and_padding():
    rows = encode_rows(documents(["ab", "abcd"]), TOKENIZER, 6, "padded")
    assert len(rows) == 2
    assert rows.lengths.tolist() == [3, 5]
    assert (rows.ids[0, 4:] == TOKENIZER.pad).all()
    assert rows.padding == pytest.approx(1 - 8 / 12)


def test_a_document_longer_than_a_row_goes_on_in_the_next():
    rows = encode_rows(documents(["abcdefgh"]), TOKENIZER, 4, "padded")
    assert rows.lengths.tolist() == [4, 4, 1]
    assert rows.ids[1, 0] == rows.ids[0, 4]


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_the_body_is_what_follows_the_header_and_its_end_of_text(layout):
    rows = encode_rows(documents(["f():xy", "g():z"], header=4), TOKENIZER, 32, layout)
    body = [bool(flag) for row, length in zip(rows.body, rows.lengths, strict=True) for flag in row[1 : length + 1]]
    assert body == [False] * 4 + [True] * 3 + [False] * 4 + [True] * 2


def test_documents_without_a_header_have_no_body():
    assert not encode_rows(documents(["abc"]), TOKENIZER, 8, "padded").body.any()


def test_no_documents_make_no_rows():
    rows = encode_rows([], TOKENIZER, 8, "packed")
    assert len(rows) == 0 and rows.ids.dtype == np.int32
