"""When a run is saved between its validations, and what becomes of it where the disk does not take that."""

import resource
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from sprig.checkpoint.states import newest_state, state_path
from sprig.config.building import StateFiles
from sprig.data.corpus import encode
from sprig.data.datamodule import RowsDataModule
from sprig.data.documents import Document
from sprig.data.packing import pack
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.callbacks import checkpoints as checkpoints_module
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)
STEPS = 9


def run(place: Path, *callbacks: L.Callback, **when: Any) -> list[int]:
    """Train an epoch of nine steps; those after which it was saved."""
    rows = pack(encode([Document("x = 1", str(n), str(n)) for n in range(STEPS)], TOKENIZER), 8, "padded")
    config = ModelConfig(
        vocab_size=SMALLEST_VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=32, max_position_embeddings=8,
    )  # fmt: skip
    saved = []

    def save(directory: Path, transformer: Transformer, facts: dict[str, Any]) -> None:
        if directory.name == "last":
            saved.append(facts["step"])

    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, plugins=[StateFiles()],
        enable_checkpointing=False, num_sanity_val_steps=0, default_root_dir=place, max_epochs=1,
        callbacks=[*callbacks, Checkpoints(place, save, state_path, "val/loss", "min", {}, **when)],
    )  # fmt: skip
    trainer.fit(
        LanguageModelling(Transformer(config), OptimConfig(), ["loss"], TOKENIZER.token_bytes),
        RowsDataModule(rows, rows, 1, seed=0, trim=True),
    )
    assert trainer.global_step == STEPS
    return saved


def states(place: Path) -> list[str]:
    return sorted(state.name for state in (place / "states").iterdir())


class Clock(L.Callback):
    """Each step takes two minutes of the clock that it is."""

    def __init__(self) -> None:
        self.seconds = 1e6

    def monotonic(self) -> float:
        return self.seconds

    def on_train_batch_start(self, *_: Any) -> None:
        self.seconds += 120


@pytest.mark.parametrize(("minutes", "expected"), [(5, [3, 6, 9]), (8, [4, 8, 9]), (60, [9]), (None, [9])])
def test_a_state_is_written_when_so_many_minutes_have_passed_since_the_last(minutes, expected, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(checkpoints_module, "time", clock)
    assert run(tmp_path, clock, every_minutes=minutes) == expected
    assert states(tmp_path) == [f"step-{step}" for step in expected[-2:]]
    state = torch.load(newest_state(tmp_path / "states")[0], weights_only=True)
    assert state["global_step"] == STEPS


class Disk(L.Callback):
    """Is full from the fourth step until before the seventh: no file may be larger than what a state needs."""

    def __init__(self, place: Path) -> None:
        self.place, self.limits = place, resource.getrlimit(resource.RLIMIT_FSIZE)
        self.kept: list[list[str]] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, self.limits[1]))
        if trainer.global_step == 6:
            self.kept = states(self.place)
            newest_state(self.place / "states")
            self.empty()

    def empty(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)


def test_a_full_disk_costs_neither_the_run_nor_the_states_before_and_what_a_save_takes_is_said(tmp_path, capsys):
    disk = Disk(tmp_path)
    try:
        run(tmp_path, disk, every_steps=1)
    finally:
        disk.empty()
    assert disk.kept == ["step-2", "step-3"]
    assert states(tmp_path) == ["step-8", "step-9"]
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" in ")[0] for line in said] == [f"Step {step} could not be saved" for step in (4, 5, 6)]
    assert all("File too large. What was saved before is whole; a save takes" in line for line in said)
    assert all(line.endswith("MB there. Training goes on.") for line in said)


def test_a_run_goes_on_as_what_it_was_and_what_its_state_does_not_name_is_not_asked_for(tmp_path: Path) -> None:
    def keeping(identity: dict[str, Any]) -> Checkpoints:
        return Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", identity)

    earlier = keeping({"seed": 1})
    torch.save({"callbacks": {earlier.state_key: earlier.state_dict()}}, tmp_path / "state.ckpt")
    keeping({"seed": 1, "data.document_mask": False}).check_resumable(tmp_path / "state.ckpt")
    with pytest.raises(ValueError, match=r"\(changed: seed\)"):
        keeping({"seed": 2, "data.document_mask": False}).check_resumable(tmp_path / "state.ckpt")
