import json
import re
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
import wandb

from config.conftest import SMALL
from sprig import checkpoint
from sprig.checkpoint.states import state_path
from sprig.config import building, stages, training
from sprig.config.training import train
from sprig.training.module import LanguageModelling
from sprig.training.processes import Processes
from wandb_file import records


def trace_of(run) -> dict:
    return json.loads((run / "trace.json").read_text())


@pytest.fixture
def run(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


def test_the_trace_has_what_the_contract_names(settings, run, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3.11", "src/train.py", "model=tiny", "name=a b"])
    train(settings("metrics.names=[loss,accuracy]"), run)
    trace = trace_of(run)
    assert trace["run"]["command"] == "python src/train.py model=tiny 'name=a b'"
    assert {"id", "git", "seed", "device", "versions", "started", "seconds"} < set(trace["run"])
    for stage in trace["stages"]:
        assert set(stage) == {"name", "input_shape", "operation", "output_shape", "seconds", "sample", "counts"}
    assert len(trace["stages"]) == 6
    layers = trace["model"]["layers"]
    assert layers[0] == {"name": "model.embed_tokens.weight", "shape": [300, 64], "parameters": 300 * 64}
    assert sum(layer["parameters"] for layer in layers) == trace["model"]["parameters"]
    assert {"epoch", "step", "tokens", "seconds", "observation", "metrics"} == set(trace["epochs"][0])
    assert trace["final"]["best"]["metric"] == "val/loss" and trace["generation"]


def test_a_run_that_could_not_save_does_not_take_the_place_of_the_newest(settings, run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(settings(), run)
    assert not (tmp_path / "latest").exists()


@pytest.mark.parametrize(("overfit", "fim_rate", "different"), [(1, 0, 1), (1, 0.5, 1), (0.0, 0, 3)])
def test_a_batch_that_is_learnt_by_heart_is_the_same_one_in_each_epoch(
    overfit, fim_rate, different, settings, run, monkeypatch
):
    rows = set()
    monkeypatch.setattr(LanguageModelling, "on_train_batch_start", lambda _, batch, __: rows.add(str(batch.input_ids)))
    ends = ("trainer.max_epochs=3", "trainer.limit_train_batches=1")
    train(settings(f"trainer.overfit_batches={overfit}", f"data.fim_rate={fim_rate}", *ends), run)
    assert len(rows) == different


def test_a_run_that_patience_has_ended_stays_ended_unless_it_is_given_more(settings, run):
    """The loss falls, and whoever wants it to rise sees no gain after the first epoch."""

    def epochs(patience: int, *more: str) -> int:
        watched = ("callbacks.mode=max", f"callbacks.early_stopping_patience={patience}", "trainer.max_epochs=9")
        train(settings(*watched, *more), run)
        return len(trace_of(run)["epochs"])

    assert epochs(2) == 3
    assert epochs(2, f"resume={run}") == 3
    assert epochs(4, f"resume={run}") == 5


def test_a_run_that_goes_on_with_other_files_of_settings_says_what_is_not_as_it_was(settings, run, capsys):
    train(settings(), run)
    (run / ".hydra").mkdir()
    kept = run / ".hydra" / "config.yaml"
    kept.write_text("trainer: {log_every_n_steps: 7, max_epochs: 1}\ncallbacks: {mode: min, gone: 1}\n")
    capsys.readouterr()
    train(settings(f"resume={run}"), run)
    [said] = [line for line in capsys.readouterr().err.splitlines() if "has changed" in line]
    assert said.endswith("and it goes on so: trainer.log_every_n_steps was 7 and is 10.")
    kept.write_text("trainer: {log_every_n_steps: 10, max_epochs: '${oc.env:EPOCHS}'}\ncallbacks: {}\n")
    train(settings(f"resume={run}"), run)
    assert "has changed" not in capsys.readouterr().err


def test_a_header_that_is_longer_than_the_context_is_a_function_that_was_not_written(settings, run):
    train(settings("data.seq_len=12", "callbacks.held_out_headers=20"), run)
    assert trace_of(run)["epochs"][-1]["metrics"]["val/exact"] == 0


def test_of_a_long_document_some_rows_are_followed_and_a_large_corpus_is_not_read_again(
    settings, run, tmp_path, monkeypatch
):
    (tmp_path / "code").mkdir()
    for number in range(20):
        (tmp_path / "code" / f"{number}.py").write_text(f"x = {number}\n" * (90 + number))
    base = [setting for setting in SMALL if not setting.startswith(("data.count", "prompts"))]
    monkeypatch.setattr(stages, "_READ_AGAIN", 100)
    of_files = ("data=folder", f"data.path={tmp_path / 'code'}", "data/filters=none", "data.near_duplicates=null")
    train(settings(*of_files, "data.seq_len=16", "prompts=[x]", base=base), run)
    sample = trace_of(run)["stages"][4]["sample"]
    assert re.search(r", \d+ of 256 tokens guessed right, in the first 16 rows$", sample)
    assert stages.known_to_training(SimpleNamespace(train_documents=SimpleNamespace(bytes=101)), "x") == "not looked up"


@pytest.mark.parametrize("asked", [True, False])
def test_activation_checkpointing_is_as_asked_for(asked, settings, run, monkeypatch):
    found = []
    monkeypatch.setattr(
        LanguageModelling,
        "on_train_batch_start",
        lambda module, *_: found.append(module.transformer.model.activation_checkpointing),
    )
    train(settings(f"trainer.activation_checkpointing={asked}"), run)
    assert found == [asked, asked]


def test_a_state_between_two_validations_has_counted_its_own_step(settings, run):
    train(settings("callbacks.save_every_steps=1", "data.layout=packed"), run)
    state = torch.load(state_path(run / "checkpoints" / "states", 1), weights_only=True)["callbacks"]
    assert state["Observing"]["usual"]["seen"] == state["Compilation"]["batches"] == 1


def test_nobody_is_logged_in_who_has_said_offline(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not building._logged_in_to_wandb()
    monkeypatch.setenv("WANDB_MODE", "online")
    assert building._logged_in_to_wandb()


def test_figures_stand_in_wandb_over_the_steps_and_not_over_the_rows_that_were_logged(settings, run):
    train(settings("logger.name=wandb", "logger.offline=true"), run)
    [file] = run.glob("wandb/offline-run-*/run-*.wandb")
    axes: dict[str, str] = {}
    deadline = time.monotonic() + 10  # W&B's own process writes it, which a busy machine keeps waiting
    while "*" not in axes and time.monotonic() < deadline:
        metrics = (record.metric for record in records(file) if record.HasField("metric"))
        axes = {metric.glob_name: metric.step_metric for metric in metrics}
    assert axes["*"] == "trainer/global_step"


@pytest.mark.parametrize(("overrides", "code"), [([], 0), (["data.vocab_size=100"], 1)])
def test_the_wandb_run_ends_with_the_exit_code_of_its_job(overrides, code, settings, run, monkeypatch):
    codes = []
    monkeypatch.setattr(wandb, "run", object())
    monkeypatch.setattr(wandb, "finish", lambda exit_code: codes.append(exit_code))
    with suppress(ValueError):  # the small vocabulary is refused
        train(settings(*overrides), run)
    assert codes == [code]


def test_processes_that_have_come_to_different_data_are_refused(monkeypatch):
    class TwoProcesses(Processes):
        def gather(self, value):
            return [value, of_the_other]

    monkeypatch.setattr(training, "_prepare", lambda job: None)
    mine = {"train": "a", "val": "b"}
    data, trace = SimpleNamespace(identity=mine), SimpleNamespace(epochs=[])
    job = SimpleNamespace(processes=TwoProcesses(), data=data, trace=trace)
    of_the_other = dict(mine)
    training._prepare_in_turn(job)
    of_the_other = mine | {"val": "c"}
    with pytest.raises(ValueError, match="have not come to the same data"):
        training._prepare_in_turn(job)
