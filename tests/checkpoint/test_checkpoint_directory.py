"""The checkpoint directory: what is saved comes back, and a save that fails leaves what was there."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoint.example import FACTS, IDS, TEXT, TOKENIZER, VOCABULARY, model
from random_models import SHAPES
from sprig.checkpoint import load, save, write_manifest
from sprig.data.tokenizer import CodeTokenizer
from sprig.model.transformer import Transformer


def logits(transformer: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return transformer(IDS)


# What is saved comes back


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_tokenizer_and_facts_come_back_equal(shape: str, tmp_path: Path) -> None:
    transformer = model(rope_theta=500.0, rms_norm_eps=1e-3, attention_dropout=0.1, **SHAPES[shape])
    save(tmp_path / "best", transformer, TOKENIZER, FACTS)
    checkpoint = load(tmp_path / "best")
    assert torch.equal(logits(checkpoint.transformer), logits(transformer))
    assert checkpoint.transformer.config == transformer.config
    assert not checkpoint.transformer.training
    assert checkpoint.facts == FACTS
    assert checkpoint.tokenizer.vocab_size == VOCABULARY
    assert checkpoint.tokenizer.encode(TEXT) == TOKENIZER.encode(TEXT)
    assert checkpoint.tokenizer.decode(TOKENIZER.encode(TEXT)) == TEXT


def test_text_that_looks_like_a_special_token_is_text_after_loading(saved: Path) -> None:
    ids = load(saved).tokenizer.encode("<|endoftext|><|pad|>")
    assert len(ids) > 2 and not {TOKENIZER.pad, TOKENIZER.end_of_text} & set(ids)


def test_tied_weights_are_stored_once_and_are_one_parameter_after_loading(saved: Path) -> None:
    assert "lm_head.weight" not in load_file(saved / "model.safetensors")
    transformer = load(saved).transformer
    assert transformer.lm_head.weight is transformer.model.embed_tokens.weight
    assert transformer.num_parameters == model().num_parameters


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_stored_in_half_the_bytes_become_float32(dtype: torch.dtype, copied: Path) -> None:
    weights = {name: weight.to(dtype) for name, weight in load_file(copied / "model.safetensors").items()}
    save_file(weights, copied / "model.safetensors")
    write_manifest(copied)
    for name, parameter in load(copied).transformer.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, weights[name].float())


def test_a_model_in_bfloat16_is_saved_in_float32(tmp_path: Path) -> None:
    save(tmp_path / "best", model().bfloat16(), TOKENIZER, {})
    assert {weight.dtype for weight in load_file(tmp_path / "best" / "model.safetensors").values()} == {torch.float32}


def test_loaded_weights_do_not_change_with_the_file(copied: Path) -> None:
    transformer = load(copied).transformer
    before = logits(transformer)
    with (copied / "model.safetensors").open("r+b") as file:
        file.seek(-4000, os.SEEK_END)
        file.write(bytes(4000))
    assert torch.equal(logits(transformer), before)


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    state = torch.random.get_rng_state()
    load(saved)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow  # a process that imports torch
def test_loading_leaves_the_compiler_of_torch_alone(saved: Path) -> None:
    code = "import sys, pathlib, sprig.checkpoint as c; c.load(pathlib.Path(sys.argv[1])); print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    modules = subprocess.check_output([sys.executable, "-c", code, saved], env=environment, text=True).split()
    assert "torch.nn" in modules
    assert "torch._dynamo" not in modules


def test_everyone_who_can_read_the_config_can_read_the_weights(saved: Path) -> None:
    assert {path.stat().st_mode for path in saved.iterdir()} == {(saved / "config.json").stat().st_mode}


def test_the_manifest_lists_every_other_file(saved: Path) -> None:
    listed = json.loads((saved / "manifest.json").read_text())["files"]
    assert listed.keys() == {path.name for path in saved.iterdir()} - {"manifest.json"}
    assert listed["config.json"]["size"] == (saved / "config.json").stat().st_size
    assert listed.keys() == {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "sprig.json",
    }


def test_a_directory_without_manifest_or_facts_loads_if_it_need_not_be_verified(copied: Path) -> None:
    (copied / "manifest.json").unlink()
    (copied / "sprig.json").unlink()
    assert load(copied, verify=False).facts == {}


# Saving replaces all or nothing


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_saving_again_replaces_the_directory_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    save(tmp_path / "best", model(0), TOKENIZER, {"epoch": 1})
    (tmp_path / "best" / "left over").touch()
    save(tmp_path / "best", model(1), TOKENIZER, {"epoch": 2})
    checkpoint = load(tmp_path / "best")
    assert checkpoint.facts == {"epoch": 2}
    assert torch.equal(logits(checkpoint.transformer), logits(model(1)))
    assert "left over" not in names(tmp_path / "best")
    assert names(tmp_path) == {"best"}


@pytest.mark.parametrize(
    "facts",
    [
        {"path": Path("x")},
        {"betas": (0.9, 0.95)},
        {1: 2},
        {"loss": math.nan},
        {"loss": math.inf},
        {"tensor": torch.ones(1)},
    ],
)
def test_facts_that_are_not_plain_json_are_refused_before_anything_is_written(
    facts: dict[Any, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="plain JSON"):
        save(tmp_path / "checkpoints" / "best", model(), TOKENIZER, facts)
    assert names(tmp_path) == set()


def test_facts_too_large_to_be_read_back_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="10,000,000"):
        save(tmp_path / "best", model(), TOKENIZER, {"text": "x" * 10_000_000})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_and_the_old_checkpoint_stays(value: float, copied: Path) -> None:
    diverged = model()
    with torch.no_grad():
        diverged.model.layers[1].mlp.up_proj.weight[3, 4] = value
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.up_proj\.weight is not finite"):
        save(copied, diverged, TOKENIZER, {})
    assert load(copied).facts == FACTS
    assert names(copied.parent) == {copied.name}


class InterruptedTokenizer(CodeTokenizer):
    """Ends the saving in its midst, once its files are written."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        super().__init__(TOKENIZER._tokenizer)
        self.interrupt = interrupt

    def save(self, directory: Path) -> None:
        super().save(directory)
        assert (directory / "config.json").exists()
        self.interrupt()


def test_an_interrupt_amid_writing_leaves_the_old_checkpoint_and_nothing_beside_it(copied: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(copied, model(1), InterruptedTokenizer(interrupt), {})
    assert load(copied).facts == FACTS
    assert names(copied.parent) == {copied.name}


def test_a_kill_amid_writing_leaves_the_old_checkpoint_and_the_next_save_works(copied: Path) -> None:
    child = os.fork()
    if child == 0:
        save(copied, model(1), InterruptedTokenizer(lambda: os.kill(os.getpid(), signal.SIGKILL)), {})
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert names(copied.parent) == {copied.name, f".{copied.name}.part-{child}"}
    assert load(copied).facts == FACTS
    save(copied, model(1), TOKENIZER, {"epoch": 2})
    assert load(copied).facts == {"epoch": 2}


def test_what_a_killed_process_of_our_number_left_is_cleared(tmp_path: Path) -> None:
    save(tmp_path / "best", model(), TOKENIZER, {})
    for leftover in (f".best.part-{os.getpid()}", f".best.old-{os.getpid()}"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "half").touch()
    save(tmp_path / "best", model(), TOKENIZER, {})
    assert "half" not in names(tmp_path / "best")
    assert names(tmp_path) == {"best"}


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_beside_it(copied: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    weights = (copied / "model.safetensors").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (weights // 2, limits[1]))
        with pytest.raises(OSError, match=r"model\.safetensors could not be written"):
            save(copied, model(1), TOKENIZER, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load(copied).facts == FACTS
    assert names(copied.parent) == {copied.name}


def test_a_directory_that_cannot_take_the_name_leaves_the_old_checkpoint(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fail_for_the_new_one(path: Path, target: Path) -> Path:
        if ".part-" in path.name:
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(OSError, match="no"):
        save(copied, model(1), TOKENIZER, {})
    assert load(copied).facts == FACTS
    assert names(copied.parent) == {copied.name}


def test_a_folder_that_is_no_checkpoint_is_never_replaced(tmp_path: Path, copied: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    (tmp_path / "link").symlink_to(copied)
    for target in (tmp_path / "home", tmp_path / "link", tmp_path / "home" / "thesis.txt"):
        with pytest.raises(ValueError, match="is not replaced"):
            save(target, model(), TOKENIZER, {})
    assert (tmp_path / "home" / "thesis.txt").exists()
    assert load(tmp_path / "link").facts == FACTS


def test_files_are_on_the_disk_before_they_get_their_name_and_the_name_before_the_save_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    save(tmp_path / "best", model(), TOKENIZER, FACTS)
    written = {path.name for path in (tmp_path / "best").iterdir()}
    before = done.index("renamed")
    assert written <= set(done[:before]) and done[before - 1].startswith(".best.part-")
    assert done[before + 1 :] == [tmp_path.name]
