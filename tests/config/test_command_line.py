import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sprig.config.command_line import prepare

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
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"x")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- model=tiny\n- trainer.max_epochs=3\n- resume=before\n")
    arguments = prepare("train", ["train.py", f"resume={tmp_path}", "trainer.max_epochs=5"])[1:]
    assert arguments[:3] == ["model=tiny", f'hydra.run.dir="{tmp_path}"', "hydra.output_subdir=null"]
    assert "trainer.max_epochs=5" in arguments and "trainer.max_epochs=3" not in arguments
    assert [argument for argument in arguments if argument.startswith("resume=")] == [f'resume="{tmp_path}"']


def test_a_run_without_a_state_to_go_on_from_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no checkpoints/last\.ckpt to go on from"):
        prepare("train", ["train.py", f"resume={tmp_path}"])
