"""The whole default run, as the README gives it, held against the figures that the README gives."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cli.command import sprig
from cli.test_readme import DEFAULT, README
from sprig import checkpoint
from sprig.data.documents import Document
from sprig.data.preparation import prepare
from sprig.data.sources import snippets
from sprig.evaluation.functions import write_functions

pytestmark = pytest.mark.slow

[SHOWN] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
HEADERS = re.findall(r"^def .*?:", SHOWN, re.MULTILINE)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("default")
    _, script, *arguments = shlex.split(DEFAULT)
    done = sprig(Path(script).stem, *arguments, cwd=place, timeout=900)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def held_out(tmp_path_factory) -> dict[str, Document]:
    val = prepare(snippets.Config(), tmp_path_factory.mktemp("cache")).val_documents
    return {document.text[: document.header]: document for document in val}


def test_the_figures_reach_their_goals_and_each_epoch_is_better_than_the_one_before(run):
    trace = json.loads((run / "outputs" / "latest" / "trace.json").read_text())
    last = trace["epochs"][-1]["metrics"]
    assert last["val/body_loss"] <= 0.15 and last["val/body_accuracy"] >= 0.92 and last["val/runs"] >= 0.90
    for name in ("train/loss", "val/loss", "val/body_loss"):
        losses = [epoch["metrics"][name] for epoch in trace["epochs"]]
        assert losses == sorted(losses, reverse=True) and len(set(losses)) == 5


def test_a_whole_snippet_is_not_guessed_better_than_it_can_be(run):
    """Which of 10,000 functions comes next cannot be known: a loss far below ln(10,000) nats each is a leak."""
    trace = json.loads((run / "outputs" / "latest" / "trace.json").read_text())
    nats = trace["epochs"][-1]["metrics"]["val/loss"] * 50_087 / 2_000
    assert nats > 9.2


def test_multiply_multiplies(run):
    done = sprig("sample", "ckpt=last", "prompt=def multiply(a, b):", cwd=run)
    assert done.stdout == "def multiply(a, b): return a * b\n"


def test_at_least_18_of_the_20_held_out_headers_in_the_readme_become_functions_that_run(run, held_out):
    assert len(HEADERS) == 20 and set(HEADERS) <= set(held_out)
    loaded = checkpoint.load(checkpoint.resolve("last", run / "outputs"))
    written = write_functions(loaded.transformer, loaded.tokenizer, [held_out[header] for header in HEADERS])
    assert sum(function.runs for function in written) >= 18


def test_evaluation_measures_what_training_measured(run):
    trained = json.loads((run / "outputs" / "latest" / "trace.json").read_text())["final"]
    done = sprig("evaluate", "ckpt=best", cwd=run)
    assert done.returncode == 0, done.stderr
    [path] = (run / "outputs" / "evaluate").glob("*/trace.json")
    measured = json.loads(path.read_text())["final"]
    for name in ("val/loss", "val/accuracy", "val/bits_per_byte", "val/body_loss", "val/runs"):
        assert measured[name] == pytest.approx(trained[name], rel=1e-3)
