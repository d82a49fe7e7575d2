import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sprig.config.command_line import as_typed, flags_last, going_on, prepare

awkward = st.text(
    alphabet=st.sampled_from("\\\"'${}[](),:= \n\tab") | st.characters(exclude_categories=["Cs"]), max_size=12
)


def as_hydra_reads(arguments: list[str]) -> dict:
    parsed = OverridesParser.create().parse_overrides(arguments)
    merged = OmegaConf.create({override.key_or_group: override.value() for override in parsed})
    return OmegaConf.to_container(merged, resolve=True)


@example(prompts=[r"\${a}", r"\\${a}", "${a}"])
@given(prompts=st.lists(awkward, min_size=1, max_size=3))
def test_prompts_reach_the_settings_as_they_were_typed(prompts):
    arguments = prepare("train", ["sample.py", *(f"prompt={prompt}" for prompt in prompts)])[1:]
    assert as_hydra_reads(arguments)["prompt"] == prompts


@given(path=awkward)
def test_paths_reach_the_settings_as_they_were_typed(path):
    assert as_hydra_reads(prepare("train", ["train.py", f"data.path={path}"])[1:])["data.path"] == path


def test_other_arguments_are_left_to_hydra():
    arguments = ["train.py", "-m", "optim.lr=0.003,0.01", "--cfg", "job"]
    assert prepare("train", arguments) == arguments


def test_a_resumed_run_gets_its_settings_and_its_directory_back(tmp_path):
    (tmp_path / "checkpoints" / "states" / "step-1").mkdir(parents=True)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- model=tiny\n- trainer.max_epochs=3\n- resume=before\n")
    arguments = prepare("train", ["train.py", f"resume={tmp_path}", "trainer.max_epochs=5"])[1:]
    assert arguments[:3] == ["model=tiny", f'hydra.run.dir="{tmp_path}"', "hydra.output_subdir=null"]
    assert "trainer.max_epochs=5" in arguments and "trainer.max_epochs=3" not in arguments
    assert [argument for argument in arguments if argument.startswith("resume=")] == [f'resume="{tmp_path}"']


def test_a_run_without_a_state_to_go_on_from_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no state in checkpoints/states to go on from"):
        prepare("train", ["train.py", f"resume={tmp_path}"])


def test_filters_by_name_are_an_option_of_their_group_and_a_mapping_is_not():
    assert prepare("train", ["x", "data.filters=strict"])[1:] == ["data/filters=strict"]
    assert prepare("train", ["x", "-m", "data.filters=none,strict"])[1:] == ["-m", "data/filters=none,strict"]
    assert prepare("train", ["x", "data.filters={max_lines:5}"])[1:] == ["data.filters={max_lines:5}"]
    assert prepare("train", ["x", "data.filters.max_lines=5"])[1:] == ["++data.filters.max_lines=5"]


def test_free_text_stays_where_it_was_typed():
    typed = ["x", "data=folder", "data.path=~/code", "--cfg", "job"]
    assert prepare("train", typed)[1:] == ["data=folder", 'data.path="~/code"', "--cfg", "job"]


def test_output_folders_are_taken_as_they_stand_and_below_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    assert prepare("train", ["x", "output_dir=a=b c"])[1:] == ['output_dir="a=b c"']
    assert prepare("train", ["x", "cache_dir=~/c"])[1:] == ['cache_dir="/home/jane/c"']


@pytest.mark.parametrize(
    ("argument", "message"),
    [("+foo=1", "nothing would read it"), ("++model.foo=1", "nothing would read it"), ("prompt=a\udcff", "not UTF-8")],
)
def test_what_would_be_lost_or_cannot_be_read_is_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        prepare("sample", ["x", argument])


def test_debug_is_a_traceback_alone_where_nothing_is_trained():
    assert prepare("train", ["x", "debug=true"])[1:] == ['debug="true"']
    assert prepare("sample", ["x", "debug=true"])[1:] == ["debug=traceback"]


def test_a_model_to_start_from_is_trained_at_a_pace_for_it_unless_another_is_chosen():
    typed = ["x", "model.init_from=~/a, b", "optim.lr=1e-4"]
    assert prepare("train", typed)[1:] == ["optim=fine_tune", 'model.init_from="~/a, b"', "optim.lr=1e-4"]
    assert prepare("prepare", typed[:2])[1:] == ['model.init_from="~/a, b"']  # which has no optimiser
    assert prepare("train", [*typed, "optim=muon"])[1:] == ['model.init_from="~/a, b"', "optim.lr=1e-4", "optim=muon"]


@pytest.mark.parametrize("argument", ["model=base", "model.hidden_size=8", "data.vocab_size=9"])
def test_what_a_model_to_start_from_brings_with_it_cannot_be_set(argument):
    with pytest.raises(ValueError, match=r"with model\.init_from, the shape and the vocabulary are those"):
        prepare("train", ["x", "model.init_from=theirs", argument])


def test_flags_of_hydra_stand_behind_the_settings_with_their_values():
    typed = ["-m", "--config-dir", "a b", "seed=1,2", "--config-name=x", "optim=adamw", "-c", "job", "--resolve"]
    assert flags_last(typed) == [
        *("seed=1,2", "optim=adamw", "-m", "--config-dir", "a b", "--config-name=x", "-c", "job", "--resolve")
    ]


def test_what_an_option_that_is_chosen_anew_sets_is_not_kept(tmp_path):
    (tmp_path / ".hydra").mkdir()
    kept = [
        "trainer=fsdp",
        "trainer.devices=2",
        "trainer.precision=64-true",
        "data.seed=3",
        "++data.filters.min_lines=2",
        "data/filters=strict",
    ]
    (tmp_path / ".hydra" / "overrides.yaml").write_text("".join(f"- {it}\n" for it in [*kept, "optim=adamw"]))
    found = going_on(tmp_path, ["trainer=ddp", "data=stdlib", "optim.lr=1", f"optim={'x' * 5000}"])
    own = [it for it in found if not it.startswith("hydra.")]
    assert own == ["trainer.precision=64-true", "trainer=ddp", "data=stdlib", "optim.lr=1", f"optim={'x' * 5000}"]


@example(path=r"\${a}")
@example(path=r"\\${a}")
@given(path=awkward)
def test_what_was_prepared_can_be_shown_as_it_was_typed(path):
    typed = [f"data.path={path}", "optim.lr=0.1", "debug=true"]
    assert [as_typed(override) for override in prepare("train", ["train.py", *typed])[1:]] == typed
