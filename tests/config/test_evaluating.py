import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from config.conftest import SMALL, composed
from sprig import checkpoint
from sprig.config import evaluating
from sprig.config.evaluating import evaluate
from sprig.config.training import train
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, CodeTokenizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The checkpoint of a model of this project's own code."""
    place = tmp_path_factory.mktemp("trained")
    run = place / "run"
    run.mkdir()
    code = Path(checkpoint.__file__).parent
    (place / "code").mkdir()
    for path in code.glob("*.py"):
        (place / "code" / path.name).write_text(path.read_text())
    base = [override for override in SMALL if not override.startswith("data.")]
    data = [
        "data=folder",
        f"data.path={place / 'code'}",
        "data.unit=function",
        "data.vocab_size=300",
        "data.batch_size=2",
    ]
    train(composed("train", *base, *data, "data.seq_len=64"), run)
    return run / "checkpoints" / "last"


def measure(ckpt: Path, place: Path, *overrides: str) -> dict[str, float]:
    evaluate(composed("evaluate", f"ckpt={ckpt}", f"output_dir={ckpt.parents[2]}", *overrides), place)
    return json.loads((place / "trace.json").read_text())["final"]


def test_its_own_split_gives_a_figure(trained, tmp_path):
    assert measure(trained, tmp_path)["val/bits_per_byte"] > 0


def test_files_of_repositories_are_joined_as_they_were_in_training(tmp_path):
    rows = [
        {"content": f"def {name}_{group}(n):\n    return n * {ord(group)}\n", "path": f"{name}.py", "group": group}
        for group in "abc"
        for name in "xy"
    ]
    (tmp_path / "code.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = tmp_path / "run"
    run.mkdir()
    base = [override for override in SMALL if not override.startswith("data.")]
    data = ["data=jsonl", f"data.path={tmp_path / 'code.jsonl'}", "data.path_column=path", "data.group_column=group"]
    data += ["data.repositories=true", "data.fim_rate=0"]
    sizes = ["data.vocab_size=300", "data.batch_size=1", "data.seq_len=32", "data.val_fraction=0.3"]
    train(composed("train", *base, *data, *sizes, "trainer.limit_val_batches=1.0"), run)
    trained = json.loads((run / "trace.json").read_text())["final"]["val/loss"]
    measured = measure(run / "checkpoints" / "best", tmp_path)["val/loss"]
    assert measured == pytest.approx(trained, rel=1e-3)


def test_a_split_that_is_in_another_vocabulary_now_is_measured_in_the_models_own(trained, tmp_path, monkeypatch):
    before = measure(trained, tmp_path)
    tokenizer = CodeTokenizer.train(["def f(x): return x"] * 9, 280, FILL_IN_THE_MIDDLE)
    other = evaluating.prepare(evaluating.own_data(checkpoint.load(trained)), tmp_path, tokenizer)
    own_split = evaluating.own_split
    monkeypatch.setattr(
        evaluating, "own_split", lambda *it: replace(own_split(*it), tokenizer=other.tokenizer, val=other.val)
    )
    assert measure(trained, tmp_path) == before


def test_with_a_stride_of_one_each_token_is_guessed_from_all_that_the_context_holds(trained, tmp_path):
    text = 'def middle(values):\n    """Between."""\n    return sorted(values)[len(values) // 2] or "nothing at all"\n'
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "new.py").write_text(text)
    found = measure(
        trained, tmp_path, "data=folder", f"data.path={tmp_path / 'code'}", "data.unit=function", "stride=1",
        "precision=32-true",
    )  # fmt: skip
    loaded = checkpoint.load(trained)
    ids = [loaded.tokenizer.end_of_text, *loaded.tokenizer.encode(text.strip("\n")), loaded.tokenizer.end_of_text]
    assert len(ids) > 70  # more than the context of 64
    nats = 0.0
    with torch.no_grad():
        for place in range(1, len(ids)):
            context = torch.tensor([ids[max(0, place - 64) : place]])
            nats -= loaded.transformer.eval()(context)[0, -1].log_softmax(-1)[ids[place]].item()
    assert found["val/loss"] == pytest.approx(nats / (len(ids) - 1), rel=1e-4)
    assert "val/padded_loss" not in found and "val/accuracy" in found


@pytest.mark.parametrize("stride", [0, 65])
def test_a_stride_that_leaves_tokens_out_is_refused(trained, tmp_path, stride):
    with pytest.raises(ValueError, match=rf"stride={stride} must be from 1 to 64"):
        measure(trained, tmp_path, f"stride={stride}")


def test_a_document_that_was_trained_on_is_left_out_and_counted(trained, tmp_path, capsys):
    code = trained.parents[2] / "code"
    (tmp_path / "mixed").mkdir()
    for path in code.glob("*.py"):
        (tmp_path / "mixed" / path.name).write_text(path.read_text())
    (tmp_path / "mixed" / "new.py").write_text("def new(a, b):\n    return a - b\n")
    measure(trained, tmp_path, "data=folder", f"data.path={tmp_path / 'mixed'}", "data.unit=function")
    said = " ".join(capsys.readouterr().out.split())
    [left_out] = [int(word) for word, after in zip(said.split(), said.split()[1:], strict=False) if after == "more"]
    held_out = checkpoint.load(trained).facts
    assert left_out > 0 and held_out["fingerprints"]["train"]


def test_code_that_was_all_trained_on_is_nothing_to_measure(trained, tmp_path):
    code = trained.parents[2] / "code"
    groups = {path.name for path in code.glob("*.py")}
    only = tmp_path / "only"
    for name in sorted(groups):  # one file at a time: those of the training side are refused
        only.mkdir(exist_ok=True)
        for path in only.iterdir():
            path.unlink()
        (only / name).write_text((code / name).read_text())
        try:
            measure(trained, tmp_path, "data=folder", f"data.path={only}", "data.unit=function")
        except ValueError as error:
            if "were trained on: there is nothing to measure" in str(error):
                return
    raise AssertionError("no file of the training side was refused")


def test_data_that_changed_since_training_is_not_measured_as_the_validation_split(trained, tmp_path):
    code = trained.parents[2] / "code"
    (code / "later.py").write_text("def later(a):\n    return a + 1\n")
    try:
        with pytest.raises(ValueError, match="no longer gives the documents"):
            measure(trained, tmp_path)
    finally:
        (code / "later.py").unlink()


def test_a_checkpoint_from_elsewhere_does_not_choose_what_is_read(trained, tmp_path, capsys):
    own, elsewhere = trained.parents[2] / "code", f"output_dir={tmp_path}"
    with pytest.raises(ValueError, match="Name that place yourself if it is to be read"):
        measure(trained, tmp_path, elsewhere)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.py").write_text("def a(x):\n    return x\n\n\ndef b(y):\n    return -y\n")
    measure(trained, tmp_path, elsewhere, "data=folder", f"data.path={tmp_path / 'other'}", "data.unit=function")
    assert "it comes from a place that was not named here" in " ".join(capsys.readouterr().out.split())
    measure(trained, tmp_path, elsewhere, "data=folder", f"data.path={own}", "data.unit=function")
    assert "more were left out because the model was trained on them" in " ".join(capsys.readouterr().out.split())


def test_files_cannot_be_told_from_functions_that_were_trained_on(trained, tmp_path, capsys):
    measure(trained, tmp_path, "data=folder", f"data.path={trained.parents[2] / 'code'}")
    assert "could not be checked: the model was trained on data.unit=function" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_checkpoint_from_elsewhere_does_not_choose_what_is_fetched(trained, tmp_path, monkeypatch):
    loaded = checkpoint.load(trained)
    hub = {"source": "hub", "name": "someone/some-dataset", "seq_len": 64}
    foreign = dataclasses.replace(loaded, facts=loaded.facts | {"data": hub})
    monkeypatch.setattr(checkpoint, "load", lambda _: foreign)
    monkeypatch.setattr("sprig.config.evaluating.prepare", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(ValueError, match="Name that place yourself"):
        measure(trained, tmp_path, f"output_dir={tmp_path}")
