import os

import pytest

from sprig.data.deduplication import text_key
from sprig.data.preparation import fingerprint, prepare
from sprig.data.sources import folder, snippets
from sprig.data.tokenizer import CodeTokenizer


@pytest.fixture(scope="module")
def default():
    return prepare(snippets.Config())


def code(tmp_path, texts: dict[str, str]) -> str:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return str(tmp_path)


def functions(count: int) -> dict[str, str]:
    return {f"f{n}.py": f"def f{n}(a, b):\n    return a * {n} + b\n" for n in range(count)}


def settings(path: str, **changes) -> folder.Config:
    return folder.Config(**{"path": path, "vocab_size": 258, "seq_len": 64, "batch_size": 4} | changes)


def test_the_default_data_is_10000_snippets_split_8000_to_2000_in_rows_of_50(default):
    assert (len(default.train_documents), len(default.val_documents)) == (8000, 2000)
    assert default.train.ids.shape == (8000, 51) and default.val.ids.shape == (2000, 51)
    assert default.train.lengths.max() <= 50


def test_no_held_out_snippet_and_no_held_out_header_occurs_in_training(default):
    trained = {text_key(document.text) for document in default.train_documents}
    assert not [document for document in default.val_documents if text_key(document.text) in trained]
    headers = {document.text[: document.header] for document in default.train_documents}
    assert not [document for document in default.val_documents if document.text[: document.header] in headers]
    rows = {row.tobytes() for row in default.train.ids}
    assert not [row for row in default.val.ids if row.tobytes() in rows]


def test_the_vocabulary_is_learnt_from_the_training_side_alone(default):
    alone = CodeTokenizer.train((document.text for document in default.train_documents), 1024)
    texts = [document.text for document in default.val_documents]
    assert [alone.encode(text) for text in texts] == [default.tokenizer.encode(text) for text in texts]


def test_the_seeds_example_is_its_twelve_lexemes_in_the_default_vocabulary(default):
    tokens = default.tokenizer.tokens(default.tokenizer.encode("def add(a, b): return a + b"))
    assert [token.strip() for token in tokens] == ["def", "add", "(", "a", ",", "b", ")", ":", "return", "a", "+", "b"]


def test_the_same_seed_prepares_the_same_and_another_seed_does_not(default):
    again = prepare(snippets.Config())
    assert again.fingerprints == default.fingerprints
    assert again.train.ids.tobytes() == default.train.ids.tobytes()
    assert prepare(snippets.Config(seed=1)).fingerprints != default.fingerprints


def test_fingerprints_know_the_texts_and_not_their_order(default):
    documents = default.val_documents
    assert fingerprint(documents) == fingerprint(documents[::-1])
    assert fingerprint(documents) != fingerprint(documents[1:])


def test_a_limit_draws_documents_and_counts_the_others(tmp_path):
    prepared = prepare(settings(code(tmp_path, functions(40)), limit=25))
    assert len(prepared.train_documents) + len(prepared.val_documents) == 25
    assert prepared.stages[0].counts["left out: over data.limit"] == 15


def test_a_files_functions_stay_on_one_side(tmp_path):
    texts = {f"m{n}.py": "".join(f"def f{n}_{k}(a):\n    return a + {k}\n" for k in range(5)) for n in range(12)}
    prepared = prepare(settings(code(tmp_path, texts), unit="function"))
    trained, held_out = ({d.group for d in side} for side in (prepared.train_documents, prepared.val_documents))
    assert not trained & held_out
    assert len(trained) + len(held_out) == 12


def test_stages_follow_one_held_out_sample(default):
    collected, cut, numbered = (stage.sample for stage in default.stages)
    assert collected == default.sample.text and default.sample in default.val_documents
    assert cut.startswith("'def' ")
    assert len(numbered.strip("[]").split(", ")) == 50


@pytest.mark.parametrize(
    ("texts", "changes", "message"),
    [
        ({"a.txt": "x"}, {}, "No document is left to train on. Left out: 1 other file type"),
        ({"a.py": "x = 1\n" * 3}, {}, "One document is left to train on"),
        ({"a.py": "x = 1\n", "b.py": "x  =  1", "c.py": "x =\t1"}, {}, "All 3 documents are the same"),
        (functions(5), {"batch_size": 9}, "Set data.batch_size="),
        (functions(9), {"vocab_size": 257}, "too small"),
        (functions(9), {"vocab_size": 9000}, "more than the training split supports"),
        ({"a.py": "def f(a): return a\ndef g(b): return -b\n"}, {"unit": "function"}, "validation split is empty"),
        ({"a.py": "\0binary"}, {}, "1 binary file (a.py)"),
        ({"a.py": "def broken(:\n"}, {"unit": "function"}, "not Python 3 syntax"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_trained_on_is_refused_with_the_reason(texts, changes, message, tmp_path):
    with pytest.raises(ValueError, match=r"\w") as error:
        prepare(settings(code(tmp_path, texts), **changes))
    assert message in str(error.value)
    assert str(error.value).count("\n") <= 1


def test_what_cannot_be_read_is_counted_and_the_rest_is_prepared(tmp_path):
    path = code(tmp_path, functions(30) | {"bom.py": "\ufeffx = 1\n", "crlf.py": "y = 2\r\nz = 3\r\n"})
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "long.py").write_text("x = [" + "1, " * 700_000 + "]\n")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    prepared = prepare(settings(path))
    left_out = {name for name in prepared.stages[0].counts if name.startswith("left out")}
    assert {name.removeprefix("left out: ") for name in left_out} >= {"not UTF-8", "not a regular file", "link loop"}
    texts = {document.text for side in (prepared.train_documents, prepared.val_documents) for document in side}
    assert len(texts) == 32 and {"x = 1\n", "y = 2\nz = 3\n"} <= texts
