import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from config.conftest import SMALL, composed
from sprig.config import schema
from sprig.config.command_line import CONF
from sprig.config.training import train
from sprig.data.preparation import prepare
from sprig.data.sources import folder

OPTIONS = sorted(
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in CONF.glob("*/**/*.yaml")
    if path.parent.name not in ("hydra", "local", "common")
)
SPRIG = Path(train.__code__.co_filename).parents[1]


def repository(place: Path) -> list[str]:
    """This project's code as a repository of its own: where the tests run there need not be one."""
    shutil.copytree(SPRIG, place / "project")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(place / "project"), *command], check=True)
    return [f"data.paths=[{place / 'project'}]"]


def table(kind: str) -> Callable[[Path], list[str]]:
    """This project's code as a table of one file a row."""

    def write(place: Path) -> list[str]:
        rows = [{"content": path.read_text(), "path": str(path)} for path in sorted(SPRIG.rglob("*.py"))]
        (place / "table").mkdir()
        if kind == "jsonl":
            (place / "table" / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            from pyarrow import Table
            from pyarrow.parquet import write_table

            write_table(Table.from_pylist(rows), place / "table" / "code.parquet")
        name = "name" if kind == "hub" else "path"
        return [f"data.{name}={place / 'table'}", "data.path_column=path", "data.group_column=path"]

    return write


def prepared(place: Path) -> list[str]:
    """This project's code, prepared before."""
    config = folder.Config(path=str(SPRIG), vocab_size=300, fim_rate=0.5, layout="packed", limit=60)
    return [f"data.path={prepare(config, place / 'made').folder}"]


def held_out(place: Path) -> Path:
    """A folder of code to be measured on."""
    folder = place / "held_out"
    folder.mkdir()
    code = "def double_of_a_number(number):\n    return number * 2 if number else number + number\n"
    (folder / "code.py").write_text(code)
    return folder


OF_THE_USERS: dict[str, Callable[[Path], list[str]]] = {
    "data=folder": lambda _: [f"data.path={SPRIG}"],
    "data=git": repository,
    "data=jsonl": table("jsonl"),
    "data=parquet": table("parquet"),
    "data=hub": table("hub"),
    "data=mixture": lambda _: [
        f"data.parts=[{{source: folder, path: {SPRIG}}}, {{source: packages, include: [rich]}}]"
    ],
    "data=prepared": prepared,
    "experiment=two_hours": lambda place: [
        "data.parts=[{source: stdlib, cap: 150}, {source: packages, include: [rich], exclude: [uvicorn]}]",
        f"data.decontaminate=[{held_out(place)}]",
        "data.val_fraction=0.2",
        "trainer.max_epochs=1",
    ],
    "data=packages": lambda _: ["data.include=[rich,omegaconf,packaging,idna,pluggy]"],
}
WITHOUT_SNIPPETS = [override for override in SMALL if not override.startswith("data.count")]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_conf_file_composes_and_trains_a_step(option, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    overrides, base = ['debug="true"' if option == "debug=true" else option], SMALL
    if option in ("experiment=five_minutes", "experiment=two_hours") or (
        option.startswith("data=") and option != "data=snippets"
    ):
        base = WITHOUT_SNIPPETS
        overrides += ["data.seq_len=64", "data.limit=200"]
    if option == "data=prepared":  # what shaped the data cannot be set any more
        base = [override for override in base if not override.startswith("data.vocab_size")]
        overrides.remove("data.limit=200")
    if option.startswith("data/filters="):
        base = WITHOUT_SNIPPETS
        overrides += ["data=folder", f"data.path={SPRIG}"]
    if option in OF_THE_USERS:
        overrides += OF_THE_USERS[option](tmp_path)
    if option == "trainer=gpu":
        overrides.append("trainer.accelerator=auto")  # of which a test's machine may have none
    if option.startswith("model="):
        overrides.append("model.num_hidden_layers=1")
    if option.startswith(("experiment=", "debug=")):
        base = [override for override in base if not override.startswith(("model=", "name="))] + [
            "model=tiny",
            "name=test",
            "trainer.check_val_every_n_epoch=1",
        ]
    run = tmp_path / "run"
    run.mkdir()
    train(settings(*overrides, base=base), run)
    for name in ("trace.json", "metrics.csv", "checkpoints/best/model.safetensors", "checkpoints/states"):
        assert (run / name).stat().st_size > 0


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_the_other_verbs_compose(verb):
    assert composed(verb, "ckpt=last", *(["prompt=x"] if verb == "sample" else [])).ckpt == "last"


@pytest.mark.parametrize(
    ("model", "vocabulary", "millions"),
    [("tiny", 1024, 0.17), ("small", 1024, 0.98), ("base", 4096, 6.0), ("medium", 50257, 124), ("large", 50257, 350)],
)
def test_models_have_the_size_that_their_file_says(model, vocabulary, millions):
    import torch

    from sprig.model.transformer import Transformer

    config = composed("train", "name=x", f"model={model}", f"data.vocab_size={vocabulary}").model
    with torch.device("meta"):
        assert Transformer(config).num_parameters / 1e6 == pytest.approx(millions, rel=0.12)


def test_a_run_that_ends_between_validations_is_measured_and_saved_all_the_same(settings, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    train(settings("trainer.max_epochs=null", "trainer.max_steps=3", "trainer.limit_train_batches=null"), run)
    trace = json.loads((run / "trace.json").read_text())
    assert [epoch["step"] for epoch in trace["epochs"]] == [3]
    assert trace["final"]["best"]["step"] == 3
    assert (run / "checkpoints" / "best" / "manifest.json").exists()


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_trained(settings, tmp_path):
    with pytest.raises(ValueError, match=r"longer than the model's context of 50 tokens"):
        train(settings(f"prompts=[{'a ' * 60}]"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_run_that_fails_before_it_saves_leaves_the_newest_good_run_the_latest(settings, tmp_path):
    for name, overrides in (("good", []), ("bad", ["trainer.val_check_interval=999"])):
        (tmp_path / name).mkdir()
        try:
            train(settings(*overrides), tmp_path / name)
        except ValueError:
            assert name == "bad"
    assert (tmp_path / "latest").resolve() == tmp_path / "good"


def test_a_run_without_validation_leaves_its_last_weights(settings, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    train(settings("trainer.limit_val_batches=0"), run)
    assert (run / "checkpoints" / "last" / "manifest.json").exists()
    assert list((run / "checkpoints" / "states").glob("step-*/state.ckpt"))


def test_the_trace_counts_the_tokens_that_were_trained_on(settings, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    train(settings("trainer.limit_train_batches=null"), run)
    trace = json.loads((run / "trace.json").read_text())
    [training] = [stage for stage in trace["stages"] if stage["name"] == "Model training"]
    [cut] = [stage for stage in trace["stages"] if stage["name"] == "Preprocessing"]
    assert 0 < trace["epochs"][0]["tokens"] == training["counts"]["tokens"] < cut["counts"]["tokens"]


def test_ones_own_defaults_hold_for_training_and_an_experiment_goes_before_them(tmp_path):
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "local").mkdir(exist_ok=True)
    own = "defaults:\n  - override /logger: csv\noptim:\n  lr: 0.5\n  warmdown: 0.123\n"
    (tmp_path / "conf" / "local" / "default.yaml").write_text(own)
    schema.register()
    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        alone = OmegaConf.to_object(compose("train", []))
        experiment = OmegaConf.to_object(compose("train", ["experiment=five_minutes"]))
    assert (alone.optim.lr, alone.optim.warmdown, alone.logger.name) == (0.5, 0.123, "csv")
    assert (experiment.optim.lr, experiment.optim.warmdown) == (0.5, 0.8)
