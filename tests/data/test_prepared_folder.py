import json
import os
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

from sprig.data import cache, shards
from sprig.data.loading import BatchLoader
from sprig.data.preparation import prepare
from sprig.data.prepared import Prepared
from sprig.data.prepared_folder import PreparedFolder
from sprig.data.sources import folder, jsonl, prepared
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, REPOSITORY, CodeTokenizer

ROWS = {"seq_len": 16, "layout": "packed", "batch_size": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Prepared:
    place = tmp_path_factory.mktemp("made")
    (place / "code").mkdir()
    for n in range(60):
        (place / "code" / f"f{n}.py").write_text(f"def f{n}(a, b):\n    return a * {n} + b\n")
    config = folder.Config(path=str(place / "code"), vocab_size=290, fim_rate=0.5, **ROWS)
    return prepare(config, place / "cache")


@pytest.fixture(params=["folder", "memory", "file"])
def address(request, made, tmp_path) -> str:
    """Where a copy of the data is."""
    shutil.copytree(made.folder, tmp_path / "copy")
    if request.param == "memory":
        fsspec.filesystem("memory").put(str(tmp_path / "copy"), f"/{tmp_path.name}", recursive=True)
        return f"memory://{tmp_path.name}"
    return f"{'file://' if request.param == 'file' else ''}{tmp_path / 'copy'}"


def rewritten(folder: Path, name: str, array: np.ndarray) -> None:
    """Put another array into a folder, and into its manifest, as someone who means harm would."""
    np.save(folder / name, array)
    sealed_anew(folder, name)


def sealed_anew(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = cache.seal(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def batches(data: Prepared) -> list[list[list[int]]]:
    loader = BatchLoader(data.train, 4, seed=3, trim=False)
    return [batch.targets.tolist() for _ in range(2) for batch in loader]


@pytest.mark.parametrize("shard", [1 << 25, 200])
def test_what_was_prepared_elsewhere_is_the_same_data(shard, address, made, tmp_path, monkeypatch):
    for name in ("SHARD", "FIRST_SHARD", "ONE_SHARD"):
        monkeypatch.setattr(shards, name, shard)
    there = prepare(prepared.Config(path=address, fim_rate=0.5, **ROWS), tmp_path / "cache")
    here = prepare(made.config, made.folder.parent)
    assert here.folder == made.folder and len(here.train) == len(there.train) == (1 if shard > 200 else 5)
    assert there.identity == here.identity
    assert there.tokenizer.fingerprint == here.tokenizer.fingerprint
    assert batches(there) == batches(here)
    assert (
        there.val.read(np.arange(len(there.val))).ids.tolist() == here.val.read(np.arange(len(here.val))).ids.tolist()
    )
    assert [d.text for d in there.val_documents] == [d.text for d in here.val_documents]
    assert there.funnel.kept_documents == 60 and there.funnel.from_cache


def test_the_training_sides_tokens_and_text_stay_where_they_are(made, tmp_path):
    fsspec.filesystem("memory").put(str(made.folder), "/stays", recursive=True)
    there = prepare(prepared.Config(path="memory://stays", **ROWS), tmp_path)
    fetched = {path.name for path in there.folder.iterdir()}
    assert not fetched & {"train.ids.npy", "documents.jsonl"} and "val.ids.npy" in fetched
    assert there.train_documents is None
    again = prepare(prepared.Config(path="memory://stays", **ROWS), tmp_path)
    assert again.folder == there.folder and len(list(tmp_path.iterdir())) == 1


def test_rows_are_laid_out_anew(address, tmp_path):
    there = prepare(prepared.Config(path=address, seq_len=50, layout="padded", batch_size=4), tmp_path / "cache")
    assert there.val.seq_len == 50 and (there.val.first_piece == np.arange(len(there.val) + 1)).all()


@pytest.mark.parametrize(
    "setting", [{"vocab_size": 300}, {"limit": 5}, {"val_fraction": 0.5}, {"unit": "function"}, {"filters": {"a": 1}}]
)
def test_settings_that_come_too_late_are_refused(setting, made, tmp_path):
    config = prepared.Config(path=str(made.folder), **setting, **ROWS)
    with pytest.raises(ValueError, match=rf"data\.{next(iter(setting))}=.* comes too late"):
        prepare(config, tmp_path)


def test_tokens_that_the_data_was_not_prepared_with_are_refused(tmp_path):
    for n in range(40):
        (tmp_path / f"f{n}.py").write_text(f"def f{n}(a, b):\n    return a * {n} + b\n")
    plain = prepare(folder.Config(path=str(tmp_path), vocab_size=290, **ROWS), tmp_path / "cache")
    with pytest.raises(ValueError, match=r"data\.fim_rate=0\.5 needs tokens"):
        prepare(prepared.Config(path=str(plain.folder), fim_rate=0.5, **ROWS), tmp_path)


def test_joined_files_are_not_cut_apart_for_filling_in_the_middle(tmp_path):
    rows = [{"content": f"def f{n}(a, b):\n    return a * {n} + b\n", "repo": str(n % 20)} for n in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    both = CodeTokenizer.train([], 270, (*FILL_IN_THE_MIDDLE, *REPOSITORY))
    config = jsonl.Config(path=str(tmp_path), group_column="repo", repositories=True, **ROWS)
    joined = prepare(config, tmp_path / "cache", both)
    with pytest.raises(ValueError, match=r"with data\.repositories=true: .* Set data\.fim_rate=0\."):
        prepare(prepared.Config(path=str(joined.folder), fim_rate=0.5, **ROWS), tmp_path, both)
    assert prepare(prepared.Config(path=str(joined.folder), **ROWS), tmp_path, both).train_tokens > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["funnel"].update(more=1),
        lambda facts: facts["funnel"].pop("bytes"),
        lambda facts: facts["funnel"].update(dropped={"x": "many"}),
        lambda facts: facts.pop("repositories"),
        lambda facts: facts.update(funnel=None),
    ],
)
def test_facts_of_another_version_are_refused_with_a_sentence(change, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    facts = json.loads((copy / "facts.json").read_text())
    change(facts)
    (copy / "facts.json").write_text(json.dumps(facts))
    sealed_anew(copy, "facts.json")
    with pytest.raises(ValueError, match=r"prepared by another version of Sprig.*\nPrepare the data anew"):
        prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")


def test_facts_from_before_there_were_examples_are_read(made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    facts = json.loads((copy / "facts.json").read_text())
    del facts["funnel"]["examples"]
    (copy / "facts.json").write_text(json.dumps(facts))
    sealed_anew(copy, "facts.json")
    assert prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache").funnel.examples == {}


@pytest.mark.parametrize("path", ["", "nowhere", "memory://nowhere", "no-such-thing://a/b", "file:///nowhere"])
def test_a_place_with_nothing_in_it_is_refused_in_one_line(path, tmp_path):
    with pytest.raises(ValueError, match=r"data\.path=") as error:
        prepare(prepared.Config(path=path, **ROWS), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["train.ids.npy", "val.starts.npy", "facts.json", "tokenizer.json"])
def test_a_copy_that_lacks_a_file_is_refused(name, address, tmp_path):
    files, root = fsspec.core.url_to_fs(address)
    files.rm(f"{root}/{name}")
    with pytest.raises(ValueError, match="prepared data"):
        prepare(prepared.Config(path=address, **ROWS), tmp_path / "cache")


@pytest.mark.parametrize("manifest", ["", "[]", "{}", "null", '{"a": 1}'])
def test_a_manifest_of_something_else_is_refused(manifest, address, tmp_path):
    files, root = fsspec.core.url_to_fs(address)
    files.pipe_file(f"{root}/manifest.json", manifest.encode())
    with pytest.raises(ValueError, match="prepared data"):
        prepare(prepared.Config(path=address, **ROWS), tmp_path / "cache")


def test_a_file_that_changed_on_its_way_is_refused(address, tmp_path):
    files, root = fsspec.core.url_to_fs(address)
    files.pipe_file(f"{root}/facts.json", b"{}")
    with pytest.raises(ValueError, match="prepared data"):
        prepare(prepared.Config(path=address, **ROWS), tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("starts", lambda starts: starts[::-1].copy()),
        ("starts", lambda starts: starts + 1),
        ("starts", lambda starts: starts.astype(np.float64)),
        ("starts", lambda starts: starts.reshape(1, -1)),
        ("starts", lambda starts: starts[:1]),
        ("headers", lambda headers: headers[:-1]),
        ("headers", lambda headers: headers - 9),
        ("headers", lambda headers: headers + 1000),
    ],
)
@pytest.mark.parametrize("side", ["train", "val"])
def test_arrays_that_do_not_fit_together_are_refused(side, name, change, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    rewritten(copy, f"{side}.{name}.npy", change(np.load(copy / f"{side}.{name}.npy")))
    with pytest.raises(ValueError, match=f"the {side} side is damaged"):
        prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("val.documents.starts.npy", lambda starts: starts[:-1].copy()),
        ("val.documents.starts.npy", lambda starts: starts.astype(np.float64)),
        ("val.documents.starts.npy", lambda starts: np.array([0, 1 << 60])),
        ("val.documents.starts.npy", lambda starts: starts[:0].copy()),
        ("val.documents.starts.npy", lambda starts: starts.reshape(1, -1)),
        ("train.npy", lambda numbers: numbers + 10**9),
        ("train.npy", lambda numbers: numbers - 10**9),
        ("train.npy", lambda numbers: numbers.astype(np.float64)),
    ],
)
def test_documents_that_do_not_fit_their_arrays_are_refused(name, change, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    rewritten(copy, name, change(np.load(copy / name)))
    with pytest.raises(ValueError, match="do not fit together"):
        prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")


@pytest.mark.parametrize("line", ["[1,2,3,4,5,6,7]", "{}", "oops", "[" * 9000, '["x", "y", "z", true, "", "", ""]'])
def test_a_line_that_is_no_document_is_refused(line, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    (copy / "val.documents.jsonl").write_text(line + "\n")
    sealed_anew(copy, "val.documents.jsonl")
    rewritten(copy, "val.documents.starts.npy", np.array([0, len(line) + 1]))
    with pytest.raises(ValueError, match=r"its 1th line is damaged|the val side is damaged"):
        data = prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")
        list(data.val_documents)


@pytest.mark.parametrize("name", ["/dev/zero", "../made.fifo", "made.fifo", "link"])
def test_nothing_but_regular_files_of_the_folder_is_opened(name, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    os.mkfifo(tmp_path / "made.fifo")
    os.mkfifo(copy / "made.fifo")
    (copy / "link").symlink_to(copy / "facts.json")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {name: manifest["facts.json"]}))
    assert not cache.is_whole(copy)
    (copy / "manifest.json").unlink()
    os.mkfifo(copy / "manifest.json")
    assert not cache.is_whole(copy)


@pytest.mark.parametrize("side", ["train", "val"])
def test_ids_outside_of_the_vocabulary_never_reach_a_model(side, made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    ids = np.load(copy / f"{side}.ids.npy")
    ids[5] = 40_000
    rewritten(copy, f"{side}.ids.npy", ids)
    with pytest.raises(ValueError, match="not of the tokenizer"):
        prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")


def test_arrays_that_hold_objects_are_not_unpickled(made, tmp_path):
    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    np.save(copy / "val.starts.npy", np.array([print], dtype=object), allow_pickle=True)
    sealed_anew(copy, "val.starts.npy")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        prepare(prepared.Config(path=str(copy), **ROWS), tmp_path / "cache")


def test_tokens_far_away_are_read_by_slices(made):
    fsspec.filesystem("memory").put(str(made.folder), "/slices", recursive=True)
    far = PreparedFolder.at("memory://slices", made.folder.parent).tokens
    ids = np.load(made.folder / "train.ids.npy")
    assert len(far) == len(ids) and far.dtype == ids.dtype
    for wanted in (slice(0, 10), slice(7, 300), slice(len(ids) - 3, None), slice(4, 4)):
        assert far[wanted].tolist() == ids[wanted].tolist()
