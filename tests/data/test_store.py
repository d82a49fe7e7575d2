import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.documents import Document
from sprig.data.store import Documents, StoreWriter

documents = st.lists(st.builds(Document, st.text(), st.text(), st.text(), st.integers(0, 9), st.text()), max_size=20)


@given(documents=documents, data=st.data())
def test_documents_come_back_as_they_were_in_any_order(documents, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "documents.jsonl"
    with StoreWriter(path) as store:
        for document in documents:
            store.append(document)
    assert list(Documents(path)) == documents
    numbers = data.draw(st.permutations(range(len(documents))))
    chosen = Documents(path, np.array(numbers, dtype=np.int64))
    assert list(chosen) == [documents[number] for number in numbers]
    assert list(chosen[1:3]) == [documents[number] for number in numbers[1:3]]
    assert len(chosen) == len(documents)


def test_a_document_that_is_not_there_is_an_index_error(tmp_path):
    with StoreWriter(tmp_path / "documents.jsonl") as store:
        store.append(Document("a", "a", "a"))
    with pytest.raises(IndexError):
        Documents(tmp_path / "documents.jsonl")[1]


def test_documents_take_as_many_bytes_as_their_lines(tmp_path):
    path = tmp_path / "documents.jsonl"
    with StoreWriter(path) as store:
        for text in ("x", "é" * 9, "y" * 99):
            store.append(Document(text, "a.py", "a"))
    lines = path.read_bytes().splitlines(keepends=True)
    assert Documents(path).at([2, 0]).bytes == len(lines[2]) + len(lines[0])
