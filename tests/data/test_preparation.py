import json
import os
import re
import tracemalloc
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from sprig.data import shards
from sprig.data.deduplication import text_key
from sprig.data.preparation import fingerprint, prepare
from sprig.data.prepared import Prepared
from sprig.data.prepared_folder import PreparedFolder
from sprig.data.sources import folder, jsonl, snippets
from sprig.data.tokenizer import CodeTokenizer


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def default(cache):
    return prepare(snippets.Config(), cache)


def documents_of(prepared: Prepared) -> list:
    return [*prepared.train_documents, *prepared.val_documents]


def code(tmp_path, texts: dict[str, str]) -> str:
    (tmp_path / "code").mkdir()
    for name, text in texts.items():
        (tmp_path / "code" / name).write_text(text)
    return str(tmp_path / "code")


def functions(count: int) -> dict[str, str]:
    return {f"f{n}.py": f"def f{n}(a, b):\n    return a * {n} + b\n" for n in range(count)}


def prepared_from(path: str, **changes) -> Prepared:
    return prepare(settings(path, **changes), Path(path).parent / "cache")


def settings(path: str, **changes) -> folder.Config:
    return folder.Config(**{"path": path, "vocab_size": 258, "seq_len": 64, "batch_size": 4} | changes)


def test_the_default_data_is_10000_snippets_split_8000_to_2000_in_rows_of_50(default):
    assert (len(default.train_documents), len(default.val_documents)) == (8000, 2000)
    train = default.train.rows(0, 0)
    assert (len(train), len(default.val)) == (8000, 2000) and train.seq_len == default.val.seq_len == 50
    assert train.lengths.max() <= 50


def test_no_held_out_snippet_and_no_held_out_header_occurs_in_training(default):
    trained = {text_key(document.text) for document in default.train_documents}
    assert not [document for document in default.val_documents if text_key(document.text) in trained]
    headers = {document.text[: document.header] for document in default.train_documents}
    assert not [document for document in default.val_documents if document.text[: document.header] in headers]
    train = default.train.rows(0, 0)
    rows = {row.tobytes() for row in train.read(np.arange(len(train))).ids}
    assert not [row for row in default.val.read(np.arange(len(default.val))).ids if row.tobytes() in rows]


def test_the_vocabulary_is_learnt_from_the_training_side_alone(default):
    alone = CodeTokenizer.train((document.text for document in default.train_documents), 1024)
    texts = [document.text for document in default.val_documents]
    assert [alone.encode(text) for text in texts] == [default.tokenizer.encode(text) for text in texts]


def test_the_seeds_example_is_its_twelve_lexemes_in_the_default_vocabulary(default):
    tokens = default.tokenizer.tokens(default.tokenizer.encode("def add(a, b): return a + b"))
    assert [token.strip() for token in tokens] == ["def", "add", "(", "a", ",", "b", ")", ":", "return", "a", "+", "b"]


def test_the_same_seed_prepares_the_same_and_another_seed_does_not(default, tmp_path):
    again = prepare(snippets.Config(), tmp_path)
    assert not again.funnel.from_cache and again.fingerprints == default.fingerprints
    assert again.train.rows(0, 0).corpus.ids.tobytes() == default.train.rows(0, 0).corpus.ids.tobytes()
    assert prepare(snippets.Config(seed=1), tmp_path).fingerprints != default.fingerprints


def test_fingerprints_know_the_texts_and_not_their_order():
    keys = np.arange(5 * 32, dtype=np.uint8).reshape(5, 32)
    assert fingerprint(keys) == fingerprint(keys[::-1])
    assert fingerprint(keys) != fingerprint(keys[1:])


def test_a_fingerprint_is_that_of_lines_in_order_and_takes_little_more_than_the_keys():
    keys = np.random.default_rng(0).integers(0, 256, (50_000, 32), dtype=np.uint8)
    lines = "\n".join(sorted(bytes(key).hex() for key in keys))
    assert fingerprint(keys) == sha256(lines.encode()).hexdigest()
    tracemalloc.start()
    fingerprint(keys)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * len(keys)


def test_a_second_run_takes_everything_from_the_cache(default, cache, monkeypatch):
    monkeypatch.setattr("sprig.data.preparation.collect", lambda *_: pytest.fail("collected again"))
    again = prepare(snippets.Config(), cache)
    assert again.funnel.from_cache and not default.funnel.from_cache
    assert again.identity == default.identity and again.sample == default.sample
    assert again.tokenizer.fingerprint == default.tokenizer.fingerprint
    shorter = prepare(snippets.Config(seq_len=60, batch_size=8, layout="packed"), cache)  # settings of rows alone
    assert shorter.funnel.from_cache and shorter.val.seq_len == 60


@pytest.mark.parametrize("change", ["touched", "added", "removed", "grown"])
def test_a_file_that_changes_makes_the_data_anew(change, tmp_path):
    path = Path(code(tmp_path, functions(30)))
    first = prepared_from(str(path))
    assert prepared_from(str(path)).funnel.from_cache
    if change == "touched":
        (path / "f3.py").write_text("def f3(a, b):\n    return b * 3 + a\n")
        os.utime(path / "f3.py", ns=(1, 1))
    elif change == "added":
        (path / "new.py").write_text("def new(a):\n    return a\n")
    elif change == "removed":
        (path / "f3.py").unlink()
    else:
        with (path / "f3.py").open("a") as file:
            file.write("# more\n")
    second = prepared_from(str(path))
    assert not second.funnel.from_cache and second.fingerprints != first.fingerprints


def test_a_file_that_git_is_told_to_ignore_in_its_own_folder_is_not_taken_from_the_cache(tmp_path):
    path = Path(code(tmp_path, functions(30)))
    (path / ".git" / "info").mkdir(parents=True)
    assert prepared_from(str(path)).funnel.kept_documents == 30
    (path / ".git" / "info" / "exclude").write_text("f3.py\n")
    assert prepared_from(str(path)).funnel.kept_documents == 29
    (path / ".git" / "info" / "exclude").write_text("f3.py\nf4.py\n")
    assert prepared_from(str(path)).funnel.kept_documents == 28


@pytest.mark.parametrize(
    "change", [{"vocab_size": 259}, {"val_fraction": 0.3}, {"seed": 1}, {"limit": 20}, {"syntax": True}]
)
def test_a_setting_that_shapes_the_data_has_data_of_its_own(change, tmp_path):
    path = code(tmp_path, functions(30))
    prepared_from(path)
    assert not prepared_from(path, **change).funnel.from_cache


@given(
    bodies=st.lists(st.integers(0, 6), min_size=6, max_size=40),
    seed=st.integers(0, 5),
)
@settings_of_hypothesis(max_examples=15, suppress_health_check=list(HealthCheck))
def test_no_near_duplicate_stands_on_both_sides_however_files_are_copied(bodies, seed, tmp_path_factory):
    place = tmp_path_factory.mktemp("copies")
    statements = [[f"    total_{b} = first_{b}[{k}] + second_{b}({k}, {b})\n" for k in range(30)] for b in range(7)]
    texts = {
        f"f{n}.py": f"def f(a):\n    # copy {n}\n" + "".join(statements[b]) + f"    return {n}\n"
        for n, b in enumerate(bodies)
    }
    texts |= {f"other{n}.py": text for n, text in enumerate(functions(8).values())}
    prepared = prepared_from(code(place, texts), near_duplicates=0.7, seed=seed, batch_size=1)
    sides = [
        {line for document in side for line in document.text.splitlines() if "total_" in line}
        for side in (prepared.train_documents, prepared.val_documents)
    ]
    assert not sides[0] & sides[1]
    copies = len(bodies) - len(set(bodies))
    assert prepared.funnel.surplus.get("near duplicate", 0) >= copies


def test_the_funnel_adds_up(tmp_path):
    path = code(tmp_path, functions(30) | {"copy.py": functions(1)["f0.py"], "no.py": "def broken(:"})
    funnel = prepared_from(path, unit="function", near_duplicates=None).funnel
    assert funnel.documents == 32 and funnel.kept_documents == 30
    assert (funnel.dropped, funnel.surplus) == ({"not Python 3 syntax": 1}, {"exact duplicate": 1})
    assert funnel.kept_bytes == sum(len(text) - 1 for text in functions(30).values())
    assert sum(funnel.lengths.values()) == 30 and funnel.licenses == {"unknown": 30}


def test_a_run_cannot_go_on_with_shards_that_are_cut_otherwise(tmp_path, monkeypatch):
    path = code(tmp_path, functions(60))
    before = prepared_from(path).identity
    assert prepared_from(path).identity == before
    for name in ("FIRST_SHARD", "ONE_SHARD"):
        monkeypatch.setattr(shards, name, 200)
    assert prepared_from(path).identity["rows"] != before["rows"]


def test_documents_turned_for_the_middle_differ_between_epochs_and_never_in_validation(tmp_path):
    path = code(tmp_path, functions(60))
    turned = prepared_from(path, fim_rate=0.5, vocab_size=261)
    first, second = turned.train.rows(0, 0), turned.train.rows(1, 0)
    assert first.corpus.ids.tobytes() != second.corpus.ids.tobytes()
    assert turned.train.rows(0, 0).corpus.ids.tobytes() == first.corpus.ids.tobytes()
    prefix = turned.tokenizer.special_id("<fim_prefix>")
    assert 10 < (first.corpus.ids == prefix).sum() < 40 and not (turned.val.corpus.ids == prefix).any()


def test_a_limit_draws_documents_and_counts_the_others(tmp_path):
    prepared = prepared_from(code(tmp_path, functions(40)), limit=25)
    assert len(prepared.train_documents) + len(prepared.val_documents) == 25
    assert prepared.stages[0].counts["left out: over data.limit"] == 15


def test_a_files_functions_stay_on_one_side(tmp_path):
    texts = {f"m{n}.py": "".join(f"def f{n}_{k}(a):\n    return a + {k}\n" for k in range(5)) for n in range(12)}
    prepared = prepared_from(code(tmp_path, texts), unit="function")
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
        ({"a.txt": "x"}, {}, "No document is left of the source. Left out: 1 other file type"),
        ({"a.py": "x = 1\n" * 3}, {}, "One document is left of the source, and it takes two. Left out: nothing"),
        (
            {"a.py": "x = 1\n" * 3, "b.py": "x = 1\n" * 3, "c.py": ""},
            {},
            "Left out: 1 empty file (c.py), 1 exact duplicate",
        ),
        ({"a.py": "x = 1\n", "b.py": "x  =  1", "c.py": "x =\t1"}, {}, "All 3 documents are the same"),
        (functions(9), {"vocab_size": 257}, "too small"),
        ({"a.py": "def f(a): return a\ndef g(b): return -b\n"}, {"unit": "function"}, "validation split is empty"),
        ({"a.py": "\0binary"}, {}, "1 binary file (a.py)"),
        ({"a.py": "def broken(:\n"}, {"unit": "function"}, "not Python 3 syntax"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_trained_on_is_refused_with_the_reason(texts, changes, message, tmp_path):
    with pytest.raises(ValueError, match=r"\w") as error:
        prepared_from(code(tmp_path, texts), **changes)
    assert message in str(error.value)
    assert str(error.value).count("\n") <= 1


def test_what_cannot_be_read_is_counted_and_the_rest_is_prepared(tmp_path):
    path = code(tmp_path, functions(30) | {"bom.py": "\ufeffx = 1\n", "crlf.py": "y = 2\r\nz = 3\r\n"})
    place = Path(path)
    (place / "latin.py").write_bytes(b"# caf\xe9\n")
    (place / "long.py").write_text("x = [" + "1, " * 700_000 + "]\n")
    os.mkfifo(place / "pipe.py")
    (place / "loop.py").symlink_to("loop.py")
    prepared = prepared_from(path)
    left_out = {name for name in prepared.stages[0].counts if name.startswith("left out")}
    assert {name.removeprefix("left out: ") for name in left_out} >= {"not UTF-8", "not a regular file", "link loop"}
    texts = {document.text for document in documents_of(prepared)}
    assert len(texts) == 32 and {"x = 1\n", "y = 2\nz = 3\n"} <= texts


def test_the_vocabulary_is_learnt_from_no_more_than_is_needed(tmp_path, monkeypatch):
    learnt_from = []
    train = CodeTokenizer.train
    monkeypatch.setattr("sprig.data.preparation.LEARNT_FROM", 200)
    monkeypatch.setattr(
        CodeTokenizer, "train", lambda texts, *rest: train(learnt_from.extend(texts) or learnt_from, *rest)
    )
    prepared = prepared_from(code(tmp_path, functions(60)))
    assert len("".join(learnt_from[:-1])) < 200 <= len("".join(learnt_from))
    assert set(learnt_from) <= {document.text for document in prepared.train_documents}

    learnt_from.clear()
    monkeypatch.setattr("sprig.data.preparation.LEARNT_FROM", 1 << 30)
    monkeypatch.setattr("sprig.data.preparation.WORDS_LEARNT_FROM", 40)
    prepared_from(str(tmp_path / "code"), seed=1)
    words = [set(re.findall(r"[ _]?[^\W\d_][^\W_]*", "\n".join(part))) for part in (learnt_from[:-1], learnt_from)]
    assert len(words[0]) < 40 <= len(words[1])


def test_of_a_cluster_whose_first_was_an_exact_duplicate_one_is_kept(tmp_path):
    body = "".join(f"    total_{k} = first[{k}] + second({k})\n" for k in range(30))
    # To the exact key all white space is one: the first two are the same. To the signature the first is a comment.
    texts = {"a.py": "x = 1 # " + body.replace("\n", " "), "b.py": f"x = 1 # {body}", "c.py": "x = 1\n" + body}
    prepared = prepared_from(code(tmp_path, texts | functions(20)), near_duplicates=0.7)
    kept = [document.path for document in documents_of(prepared) if document.text.startswith("x")]
    assert sorted(kept) == ["a.py", "c.py"]


def test_a_given_tokenizer_is_taken_as_it_is_and_prepared_data_is_known_by_it(tmp_path):
    config = snippets.Config(count=300, vocab_size=300)
    learnt = prepare(config, tmp_path)
    given = CodeTokenizer.train(["def given(tokenizer): return tokenizer\n"] * 9, 270)
    prepared = prepare(config, tmp_path, given)
    assert prepared.tokenizer.fingerprint == given.fingerprint != learnt.tokenizer.fingerprint
    assert not prepared.funnel.from_cache and prepare(config, tmp_path, given).funnel.from_cache
    assert prepare(config, tmp_path).tokenizer.fingerprint == learnt.tokenizer.fingerprint
    text = prepared.train_documents[0].text
    start, end = prepared.train.rows(0, 0).corpus.starts[:2]
    assert prepared.train.rows(0, 0).corpus.ids[start:end].tolist() == [*given.encode(text), given.end_of_text]


def test_secrets_in_paths_and_groups_are_replaced_like_those_in_the_text_and_groups_stay_apart(tmp_path):
    key = "gh" + "p_" + "a1B2c3D4e5" * 4
    rows = [
        {
            "content": f"def f{n}(a):\n    return a + {n}\n",
            "path": f"mail/john.doe{n}@gmail.com/{key}.py",
            "group": f"bob{n % 4}@gmail.com/r",
        }
        for n in range(20)
    ]
    rows.append(rows[0] | {"content": "def g(a):\n    return a\n", "group": "<EMAIL>/r 2"})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = jsonl.Config(
        path=str(tmp_path / "a.jsonl"), path_column="path", group_column="group", redact=True, repositories=True,
        vocab_size=300, seq_len=32, batch_size=2, layout="packed",
    )  # fmt: skip
    prepared = prepare(config, tmp_path / "cache")
    documents = documents_of(prepared)
    assert {document.path for document in documents} == {"mail/<EMAIL>/<KEY>.py"}
    members = Counter(document.group for document in documents)
    assert members == {"<EMAIL>/r": 5, "<EMAIL>/r 2": 5, "<EMAIL>/r 3": 5, "<EMAIL>/r 4": 5, "<EMAIL>/r 2 2": 1}
    assert prepared.funnel.redacted == {"email": 41, "github": 21}
    for file in prepared.folder.iterdir():
        assert not re.search(rb"gmail|ghp_|a1B2c3", file.read_bytes()), file


def test_the_examples_of_what_was_left_out_hold_no_secrets_where_these_are_replaced(tmp_path):
    name = "gh" + "p_" + "a1B2c3D4e5" * 4
    path = code(tmp_path, {f"{name}.py": "print 'two'\n", "a.py": "x = 1\n"})
    with pytest.raises(ValueError, match=r"1 not Python 3 syntax \(<KEY>\.py\)"):
        prepared_from(path, syntax=True, redact=True)
    with pytest.raises(ValueError, match=rf"1 not Python 3 syntax \({name}\.py\)"):
        prepared_from(path, syntax=True)


def test_of_a_secret_in_a_long_path_no_part_is_left_where_the_path_is_cut(tmp_path):
    key = "gh" + "p_" + "a1B2c3D4e5" * 4
    path = code(tmp_path, {"a.py": "x = 1\n"})
    folder = tmp_path / "code" / f"{'x' * 30}-{key}-{'z' * 100}"
    folder.mkdir()
    (folder / f"{'y' * 70}.py").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match=r"1 not UTF-8 \(\.\.\.") as refusal:
        prepared_from(path, redact=True)
    assert not re.search("a1B2|c3D4", str(refusal.value)) and "<KEY>" in str(refusal.value)


def test_files_that_are_each_a_group_are_not_joined_in_silence(tmp_path):
    with pytest.raises(ValueError, match="here each is a group of its own"):
        prepared_from(code(tmp_path, functions(20)), repositories=True)


def test_repositories_come_in_a_drawn_order_and_their_files_in_their_own(tmp_path):
    rows = [
        {"content": f"def f{n}_{g:02}(a):\n    return a + {n}\n", "path": f"{n}.py", "group": f"{g:02}"}
        for g in range(20)
        for n in range(3)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = jsonl.Config(
        path=str(tmp_path / "a.jsonl"), path_column="path", group_column="group", repositories=True,
        vocab_size=300, seq_len=32, batch_size=2, layout="packed",
    )  # fmt: skip
    prepared = prepare(config, tmp_path / "cache")
    corpus = PreparedFolder.here(prepared.folder).corpus("train", prepared.tokenizer)
    text = prepared.tokenizer.decode(corpus.ids[: corpus.tokens].tolist())
    order = re.findall(r"def f(\d)_(\d+)", text)
    groups = list(dict.fromkeys(group for _, group in order))
    assert len(groups) == 16 and groups != sorted(groups)
    assert order == [(str(n), group) for group in groups for n in range(3)]
