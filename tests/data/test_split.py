import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.deduplication import text_key, unique
from sprig.data.documents import Document, Skips
from sprig.data.split import split

groups = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60).filter(lambda names: len(set(names)) > 1)


def documents(names: list[str]) -> list[Document]:
    return [Document(f"text {number}", f"{name}/{number}", name) for number, name in enumerate(names)]


@given(names=groups, seed=st.integers(0, 9))
def test_no_group_stands_on_both_sides_and_no_document_is_lost(names, seed):
    everything = documents(names)
    try:
        train, val = split(everything, 0.2, seed)
    except ValueError as error:
        assert "training split is empty" in str(error)
        return
    assert not {document.group for document in train} & {document.group for document in val}
    assert sorted(document.path for document in train + val) == sorted(document.path for document in everything)
    assert train and val


def test_documents_of_their_own_groups_split_80_to_20_exactly():
    train, val = split([Document(str(n), str(n), str(n)) for n in range(1000)], 0.2, 0)
    assert (len(train), len(val)) == (800, 200)


def test_the_seed_decides_the_split_and_the_order_of_reading_does_not():
    everything = documents([str(n) for n in range(50)])
    first = split(everything, 0.2, 1)[1]
    assert {d.path for d in split(everything[::-1], 0.2, 1)[1]} == {d.path for d in first}
    assert {d.path for d in split(everything, 0.2, 2)[1]} != {d.path for d in first}


def test_a_single_group_cannot_be_split():
    with pytest.raises(ValueError, match="validation split is empty: all 3 documents belong to one group"):
        split(documents(["only"] * 3), 0.2, 0)


def test_copies_that_differ_in_white_space_only_are_dropped_and_counted():
    skips = Skips()
    texts = ["def f(x): return x", "def f(x):\n    return x\n", "def f(y): return y"]
    kept = list(unique((Document(text, f"{n}.py", str(n)) for n, text in enumerate(texts)), skips))
    assert [document.path for document in kept] == ["0.py", "2.py"]
    assert skips.counts == {"exact duplicate": 1} and skips.examples == {"exact duplicate": "1.py"}


def test_words_run_together_are_no_copy():
    assert text_key("return x") != text_key("returnx")
