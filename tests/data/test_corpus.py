import errno
import random
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data import corpus as corpus_module
from sprig.data.corpus import Corpus, encode, encode_to
from sprig.data.documents import Document
from sprig.data.fill_in_the_middle import fill_in_the_middle
from sprig.data.store import Documents, StoreWriter
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, SMALLEST_VOCABULARY, CodeTokenizer, id_type

BYTES = CodeTokenizer.train([], SMALLEST_VOCABULARY)
TEXTS = ["def add(a, b):\n    return a + b\n", "naïve = 'ünïcode 🌱'\n", "<fim_prefix> is text\n", "x\n"]
MIDDLE = CodeTokenizer.train(TEXTS * 50, 280, FILL_IN_THE_MIDDLE)


def documents(texts: list[str], header: int = 0) -> list[Document]:
    return [Document(text, str(n), str(n), header) for n, text in enumerate(texts)]


def texts_of(corpus: Corpus, tokenizer: CodeTokenizer) -> list[str]:
    ends = corpus.starts[1:]
    assert (corpus.ids[ends - 1] == tokenizer.end_of_text).all()
    return [tokenizer.decode(corpus.ids[a : b - 1].tolist()) for a, b in zip(corpus.starts[:-1], ends, strict=True)]


def stored(place, documents: list[Document]) -> Documents:
    with StoreWriter(place / "documents.jsonl") as store:
        for document in documents:
            store.append(document)
    return Documents(place / "documents.jsonl")


@given(texts=st.lists(st.text(min_size=1), max_size=12))
def test_on_disk_and_in_memory_a_corpus_is_the_same_and_holds_every_text(texts, tmp_path_factory):
    place = tmp_path_factory.mktemp("corpus")
    written = encode_to(place, "train", stored(place, documents(texts, header=1)), BYTES)
    kept = encode(documents(texts, header=1), BYTES)
    assert texts_of(kept, BYTES) == texts
    for part in ("ids", "starts", "headers"):
        assert np.array_equal(getattr(written, part), getattr(kept, part))
    left = {path.name for path in place.iterdir()} - {"documents.jsonl", "documents.starts.npy"}
    assert left == {f"train.{part}.npy" for part in ("headers", "ids", "starts")}


def test_several_processes_write_what_one_writes(tmp_path, monkeypatch):
    store = stored(tmp_path, documents([text * (n + 1) for n in range(9) for text in TEXTS], header=2))
    store = Documents(store.path, store.numbers[::-1])
    one = encode_to(tmp_path, "one", store, MIDDLE)
    monkeypatch.setattr(corpus_module, "_MANY", 1)
    monkeypatch.setattr(corpus_module, "processors", lambda: 3)
    several = encode_to(tmp_path, "several", store, MIDDLE)
    for part in ("ids", "starts", "headers"):
        assert np.array_equal(getattr(one, part), getattr(several, part))
        assert getattr(one, part).dtype == getattr(several, part).dtype


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL, as a system without memory", id="killed"),
        pytest.param("import os; os.kill(os.getpid(), 15)", "ended by SIGTERM: try again", id="terminated"),
        pytest.param("import time; time.sleep(60)", r"has written nothing for 0\.5 s", id="hung"),
    ],
)
def test_a_process_that_dies_or_hangs_ends_the_run_with_a_sentence(script, message, tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(script)
    store = stored(tmp_path, documents(TEXTS))
    monkeypatch.setattr(corpus_module, "_MANY", 1)
    monkeypatch.setattr(corpus_module, "SILENCE", 0.5)
    monkeypatch.setattr(corpus_module.encoding_worker, "__file__", str(tmp_path / "worker.py"))
    monkeypatch.setattr(corpus_module, "processors", lambda: 2)
    start = time.monotonic()
    with pytest.raises(OSError, match=message):
        encode_to(tmp_path, "train", store, BYTES)
    assert time.monotonic() - start < 30  # the one that hangs would for 60


def test_a_full_disk_under_a_process_is_the_systems_own_error(tmp_path, monkeypatch):
    store = stored(tmp_path, documents(TEXTS))
    monkeypatch.setattr(corpus_module, "_MANY", 1)
    monkeypatch.setattr(corpus_module, "processors", lambda: 2)
    (tmp_path / "train.part1").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as error:
        encode_to(tmp_path, "train", store, BYTES)
    assert error.value.errno == errno.ENOSPC


def test_what_a_process_fails_with_is_said_and_is_no_error_of_the_systems(tmp_path, monkeypatch, capfd):
    store = stored(tmp_path, documents(TEXTS))
    monkeypatch.setattr(corpus_module, "_MANY", 1)
    monkeypatch.setattr(corpus_module, "processors", lambda: 2)
    monkeypatch.setattr(CodeTokenizer, "save", lambda *_: None)  # so that there is none to read
    with pytest.raises(RuntimeError, match=r"A process that encodes documents failed: .*is not a tokenizer") as error:
        encode_to(tmp_path, "train", store, BYTES)
    assert "Traceback" in error.value.__notes__[0] and capfd.readouterr() == ("", "")


SIGNS = "aab_1  \n\n\n\t\r\f().:=*<\x1c" * 3 + "\x85\xa0\u2028\u3000é日½"
DRAWN = ["".join(random.Random(number).choices(SIGNS, k=60)) for number in range(2000)]
MANY_MERGES = CodeTokenizer.train(DRAWN, 2000)
"""Of nearly every two signs that may stand side by side in a lexeme, so that a wrong cut changes ids."""


@given(text=st.text(st.characters(max_codepoint=127)) | st.text(SIGNS) | st.sampled_from(DRAWN), data=st.data())
def test_the_fast_way_gives_the_librarys_ids_and_headers(text, data):
    character = data.draw(st.integers(0, len(text)))
    [(fast, before)] = MANY_MERGES.encode_from([(text, character)])
    ids, expected = MANY_MERGES._from_library(text, character)
    assert fast.tolist() == ids.tolist() and fast.dtype == ids.dtype and before == expected


def test_ids_take_as_many_bytes_as_the_vocabulary_needs():
    assert (id_type(1 << 16), id_type((1 << 16) + 1)) == (np.uint16, np.uint32)


def parts(ids: list[int]) -> tuple[str, str, str]:
    """(prefix, middle, suffix) of a turned document, by either order of its parts."""
    prefix, middle, suffix = map(MIDDLE.special_id, FILL_IN_THE_MIDDLE)
    assert ids[0] == prefix and ids[-1] == MIDDLE.end_of_text
    first, last = ids.index(suffix), ids.index(middle)
    before, between, after = ids[1:first], ids[first + 1 : last], ids[last + 1 : -1]
    return MIDDLE.decode(before), MIDDLE.decode(after), MIDDLE.decode(between)


def test_a_turned_document_has_all_of_its_text_in_one_of_two_orders():
    corpus = encode(documents(TEXTS * 20, header=1), MIDDLE)
    turned = fill_in_the_middle(corpus, MIDDLE, 1.0, [0, 0])
    suffix_first = 0
    for place, text in enumerate(TEXTS * 20):
        prefix, middle, suffix = parts(turned.ids[turned.starts[place] : turned.starts[place + 1]].tolist())
        assert prefix + middle + suffix == text
        suffix_first += prefix == "" and turned.ids[turned.starts[place] + 1] == MIDDLE.special_id("<fim_suffix>")
    assert 20 < suffix_first < 60  # of 80, and a few prefixes are empty by chance
    assert not turned.headers.any()


def test_cuts_fall_inside_of_words():
    corpus = encode(documents(["abcdefgh"] * 200), MIDDLE)
    turned = fill_in_the_middle(corpus, MIDDLE, 1.0, [0, 0])
    seen = {parts(turned.ids[a:b].tolist()) for a, b in zip(turned.starts[:-1], turned.starts[1:], strict=True)}
    assert {len(prefix) for prefix, _, _ in seen} == set(range(9))


def test_the_rate_is_kept_and_the_others_are_untouched():
    corpus = encode(documents(TEXTS * 200), MIDDLE)
    turned = fill_in_the_middle(corpus, MIDDLE, 0.3, [0, 4])
    prefix = MIDDLE.special_id("<fim_prefix>")
    which = turned.ids[turned.starts[:-1]] == prefix
    assert 0.25 < which.mean() < 0.35
    assert [t for t, w in zip(texts_of(turned, MIDDLE), which, strict=True) if not w] == [
        t for t, w in zip(TEXTS * 200, which, strict=True) if not w
    ]
    assert (turned.headers[~which] == corpus.headers[~which]).all()


def test_a_rate_of_nothing_changes_nothing():
    corpus = encode(documents(TEXTS), MIDDLE)
    same = fill_in_the_middle(corpus, MIDDLE, 0.0, [0, 0])
    assert np.array_equal(same.ids, corpus.ids) and np.array_equal(same.starts, corpus.starts)


def test_special_tokens_add_no_bytes_and_their_text_stays_text():
    specials = [MIDDLE.special_id(token) for token in FILL_IN_THE_MIDDLE]
    assert [MIDDLE.token_bytes[id] for id in specials] == [0, 0, 0]
    ids = MIDDLE.encode("<fim_prefix>")
    assert not set(ids) & set(specials) and MIDDLE.decode(ids) == "<fim_prefix>"
    assert MIDDLE.tokens(specials) == list(FILL_IN_THE_MIDDLE)


def test_files_of_a_repository_are_one_text_with_their_names_in_it(tmp_path):
    tokenizer = CodeTokenizer.train([], 260, REPOSITORY)
    files = [Document("x\n", "a.py", "one"), Document("y\n", "b.py", "one"), Document("z\n", "c.py", "two")]
    corpus = encode_to(tmp_path, "train", stored(tmp_path, files), tokenizer, repositories=True)
    shown = ["".join(tokenizer.tokens(corpus.ids[a:b].tolist())) for a, b in pairwise(corpus.starts)]
    assert shown == [
        "<repo_name>one<file_sep>a.py\nx\n<file_sep>b.py\ny\n<|endoftext|>",
        "<repo_name>two<file_sep>c.py\nz\n<|endoftext|>",
    ]
    in_memory = encode(files, tokenizer, repositories=True)
    assert in_memory.ids.tolist() == corpus.ids.tolist() and in_memory.starts.tolist() == corpus.starts.tolist()


def test_what_is_kept_of_lexemes_is_short():
    """One word may be a megabyte, and a corpus may have many of them."""
    tokenizer = CodeTokenizer.train([], SMALLEST_VOCABULARY)
    list(tokenizer.encode_all(["x" * 400_000 + " y"]))
    assert set(tokenizer._lexemes) == {" y"}
