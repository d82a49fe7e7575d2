"""What ckpt= means: words, run directories, checkpoint directories."""

import re
import shutil
from pathlib import Path

import pytest

from sprig.checkpoint import resolve


@pytest.fixture
def outputs(saved: Path, tmp_path: Path) -> Path:
    """Two runs, of which the second is the newest; it has a last checkpoint and no best one."""
    for run, word in (("first", "best"), ("first", "last"), ("second", "last")):
        shutil.copytree(saved, tmp_path / "outputs" / run / "checkpoints" / word)
    (tmp_path / "outputs" / "first" / "checkpoints" / "epoch.ckpt").touch()
    (tmp_path / "outputs" / "latest").symlink_to("second")
    return tmp_path / "outputs"


def test_words_and_runs_and_directories_resolve_to_checkpoint_directories(outputs: Path) -> None:
    first, second = outputs / "first" / "checkpoints", outputs / "second" / "checkpoints"
    assert resolve("last", outputs) == second / "last"
    assert resolve(str(first / "last"), outputs) == first / "last"
    assert resolve(str(outputs / "first"), outputs) == first / "best"
    (outputs / "latest").unlink()
    (outputs / "latest").symlink_to("first")
    assert resolve("best", outputs) == first / "best"
    assert resolve(str(outputs / "latest"), outputs) == first / "best"


def test_a_path_may_start_with_the_home_directory(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(outputs))
    assert resolve("~/first", outputs) == outputs / "first" / "checkpoints" / "best"


@pytest.mark.parametrize(
    ("ckpt", "message"),
    {
        "best": "second|latest/checkpoints/best.*[Tt]rain first: python src/train.py",
        "absent": "(?s)there is no such directory.*Train first: python src/train.py",
        "": "there is no such directory",
        "https://example.org/model": "there is no such directory",
        "x" * 5000: "too long",
        "~nobody-has-this-name": "home",
        "{outputs}/second": "there is no directory .*second/checkpoints/best",
        "{outputs}/first/checkpoints/epoch.ckpt": "pickles can run code and are never read",
        "{outputs}/first/checkpoints/best/model.safetensors": "is a file: give the checkpoint directory",
    }.items(),
)
def test_an_unknown_ckpt_is_refused_with_what_was_looked_for(ckpt: str, message: str, outputs: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        resolve(ckpt.format(outputs=outputs), outputs)
    assert re.match("ckpt=", str(caught.value))
