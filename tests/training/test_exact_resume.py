"""A run that was stopped or killed and gone on with is, bit by bit, the run that nobody disturbed.

Batches are read from memory maps in the training process: there are no loader workers whose number could matter.
"""

import hashlib
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

from sprig.checkpoint.states import newest_state, state_path
from sprig.config.building import StateFiles
from sprig.data.corpus import encode
from sprig.data.datamodule import RowsDataModule
from sprig.data.documents import Document
from sprig.data.packing import Rows, pack
from sprig.data.shards import Shards
from sprig.data.tokenizer import SMALLEST_VOCABULARY, CodeTokenizer
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.interruption import Interruption, Stopped
from sprig.training.config import OptimConfig
from sprig.training.module import LanguageModelling

TOKENIZER = CodeTokenizer.train([], SMALLEST_VOCABULARY)
BATCHES = 10  # an epoch
INTERVAL = 4  # batches between validations where they are asked for: amid a step of three batches


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the run sees it coming."""


class Record(L.Callback):
    """What each batch was and cost, and what each validation came to, by the number of the batch in the run."""

    def __init__(self) -> None:
        self.batches: dict[int, tuple[str, float]] = {}
        self.validations: dict[int, dict[str, float]] = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        digest = hashlib.sha256(batch.input_ids.numpy().tobytes() + batch.targets.numpy().tobytes()).hexdigest()
        self.batches[trainer.fit_loop.total_batch_idx] = digest, outputs["loss"].item()

    def on_validation_end(self, trainer, pl_module):
        self.validations[trainer.fit_loop.total_batch_idx] = {
            name: trainer.callback_metrics[name].item() for name in ("val/loss", "val/accuracy", "train/loss")
        }


class Fault(L.Callback):
    """Does what it is told when the run comes to a batch, or to the validation after it."""

    def __init__(self, strike, batch: int, validating: bool) -> None:
        self.strike, self.batch, self.validating = strike, batch, validating

    def on_train_batch_start(self, trainer, *_):
        if not self.validating and trainer.fit_loop.total_batch_idx == self.batch:
            self.strike()

    def on_validation_batch_start(self, trainer, *_):
        if self.validating and trainer.fit_loop.total_batch_idx == self.batch:
            self.strike()


def kill() -> None:
    raise Killed


def rows_of(documents: int, layout: str) -> Rows:
    written = [Document(f"def f{n}(): return {n * n}", str(n), str(n)) for n in range(documents)]
    return pack(encode(written, TOKENIZER), 32, layout)


def fitted(
    place: Path,
    record: Record,
    cell: tuple[float, str, int, float | None],
    interval: int | None,
    fault=None,
    resume: bool = False,
    train: Shards | None = None,
    **ends: int,
) -> tuple[LanguageModelling, L.Trainer]:
    """Train two epochs, or as ends say, or go on with them."""
    dropout, layout, accumulation, ema = cell
    rows = rows_of(40, layout)
    ends = ends or {"max_epochs": 2, "limit_train_batches": BATCHES}
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=SMALLEST_VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, max_position_embeddings=32,
        attention_dropout=dropout,
    )  # fmt: skip
    module = LanguageModelling(Transformer(config), OptimConfig(ema=ema), ["loss", "accuracy"], TOKENIZER.token_bytes)
    checkpoints = Checkpoints(place, lambda *_: None, state_path, "val/loss", "min", {}, every_steps=1)
    interruption = Interruption(checkpoints)
    strikes = {"stop": lambda: interruption._ask(15, None), "kill": kill}
    faults = [Fault(strikes[fault[0]], *fault[1:])] if fault else []
    torch.manual_seed(99 if resume else 1)  # what a resumed run draws is in its state
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, precision="32-true",
        enable_checkpointing=False, num_sanity_val_steps=0, default_root_dir=place, plugins=[StateFiles()],
        callbacks=[*faults, record, checkpoints, interruption],
        accumulate_grad_batches=accumulation, val_check_interval=interval,
        reload_dataloaders_every_n_epochs=int(train is not None), **{"limit_val_batches": 3} | ends,
    )  # fmt: skip
    trainer.fit(
        module,
        RowsDataModule(train or rows, rows, 2, seed=0, trim=layout == "padded"),
        ckpt_path=newest_state(place / "states")[0] if resume else None,
        weights_only=True,
    )
    return module, trainer


def final_state(module: LanguageModelling, trainer: L.Trainer) -> list[Any]:
    """Everything that makes the next step what it is, flattened."""
    optimizer = trainer.optimizers[0].state_dict()
    scheduler = trainer.lr_scheduler_configs[0].scheduler.state_dict()
    flat = [*module.state_dict().values(), trainer.global_step, module.tokens_seen, torch.get_rng_state()]
    for state in optimizer["state"].values():
        flat += state.values()
    flat += optimizer["param_groups"]
    return [*flat, {name: value for name, value in scheduler.items() if name != "lr_lambdas"}]


def equal(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


FAULTS = {
    "stopped mid-epoch": (None, ("stop", 4, False)),
    "killed mid-epoch": (None, ("kill", 6, False)),
    "stopped at the epoch boundary": (None, ("stop", BATCHES - 1, False)),
    "killed at the epoch boundary": (None, ("kill", BATCHES, False)),
    "stopped during a validation": (INTERVAL, ("stop", INTERVAL - 1, True)),
    "killed during a validation": (INTERVAL, ("kill", INTERVAL - 1, True)),
    "killed during an epoch's validation": (None, ("kill", BATCHES - 1, True)),
}


CELLS = [*product((0.0, 0.1), ("padded", "packed"), (1, 3), (None,)), (0.1, "packed", 3, 0.9)]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_an_interrupted_run_is_bit_by_bit_an_uninterrupted_one(cell, tmp_path):
    wholes = {}
    for interval in (None, INTERVAL):
        record = Record()
        wholes[interval] = record, final_state(*fitted(tmp_path / str(interval), record, cell, interval))
        assert len(record.batches) == 2 * BATCHES and len(record.validations) == (2 if interval is None else 4)
    for name, (interval, fault) in FAULTS.items():
        record, place = Record(), tmp_path / name
        with pytest.raises((Stopped, Killed)):
            fitted(place, record, cell, interval, fault)
        known, state = dict(record.batches), final_state(*fitted(place, record, cell, interval, resume=True))
        whole, expected = wholes[interval]
        assert 0 < len(known) < 2 * BATCHES, name
        assert all(whole.batches[number] == batch for number, batch in known.items()), name
        assert record.batches == whole.batches, name
        assert record.validations == whole.validations, name
        assert all(equal(a, b) for a, b in zip(state, expected, strict=True)), name


UNEQUAL = (20, 16, 24)
"""Rows of each epoch, as they differ where documents are turned: 10, 8 and 12 batches."""
ENDS: dict[str, tuple[dict[str, int], bool, list[int]]] = {
    "epochs of unequal length": ({"max_epochs": 3}, True, [9, 17, 29]),
    "and no number of epochs": ({"max_epochs": -1, "max_steps": 30}, True, [9, 17, 29]),
    "no number of epochs, each cut short": (
        {"max_epochs": -1, "max_steps": 30, "limit_train_batches": BATCHES}, False, [9, 19, 29],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_each_epoch_is_whole_and_measured_however_long_it_is_and_however_the_run_ends(name, tmp_path):
    ends, unequal, measured = ENDS[name]

    def run(place: Path, record: Record, **kind: Any) -> list[Any]:
        train = Shards(lambda epoch, _: rows_of(UNEQUAL[min(epoch, 2)], "padded"), [0]) if unequal else None
        return final_state(*fitted(place, record, (0.1, "padded", 1, None), None, **kind, train=train, **ends))

    whole = Record()
    expected = run(tmp_path / "whole", whole)
    assert list(whole.validations) == measured and list(whole.batches) == list(range(30))
    for fault in [
        ("kill", 4, False),
        ("stop", 9, False),
        ("kill", 10, False),
        ("stop", 14, False),
        ("stop", 17, False),
        ("kill", 18, False),
        ("kill", 25, False),
    ]:
        record, place = Record(), tmp_path / str(fault)
        with pytest.raises((Stopped, Killed)):
            run(place, record, fault=fault)
        state = run(place, record, resume=True)
        assert record.batches == whole.batches, fault
        assert record.validations == whole.validations, fault
        assert all(equal(a, b) for a, b in zip(state, expected, strict=True)), fault


def test_without_validation_a_run_is_saved_and_stops_after_any_epoch(tmp_path):
    ends = {"max_epochs": 6, "limit_train_batches": 1, "limit_val_batches": 0}
    record = Record()
    with pytest.raises(Stopped):
        fitted(tmp_path, record, (0.1, "padded", 1, None), None, ("stop", 1, False), **ends)
    assert len(record.batches) == 2


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("batches", [1, 3])
def test_where_an_epoch_is_a_step_or_two_a_run_is_saved_and_stops_between_them(batches, accumulation, tmp_path):
    """As in experiment=overfit, which measures once in fifty epochs: a signal does not wait for that."""
    ends = {"max_epochs": 6, "limit_train_batches": batches, "check_val_every_n_epoch": 3}
    cell = (0.1, "padded", accumulation, None)
    whole = Record()
    expected = final_state(*fitted(tmp_path / "whole", whole, cell, None, **ends))
    assert len(whole.batches) == 6 * batches and len(whole.validations) == 2
    for kind in ("stop", "kill"):
        for epoch in (0, 1, 2, 3, 4):
            record, place = Record(), tmp_path / f"{kind} {epoch}"
            last = (epoch + 1) * batches - 1 + (kind == "kill")  # a kill comes before the next batch
            with pytest.raises((Stopped, Killed)):
                fitted(place, record, cell, None, (kind, last, False), **ends)
            assert len(record.batches) == (epoch + 1) * batches
            state = final_state(*fitted(place, record, cell, None, resume=True, **ends))
            assert record.batches == whole.batches and record.validations == whole.validations
            assert all(equal(a, b) for a, b in zip(state, expected, strict=True))


class Device:
    """Stands for a GPU's random numbers."""

    def __init__(self, state: list[int]) -> None:
        self.state = torch.tensor(state, dtype=torch.uint8)

    def get_rng_state(self) -> torch.Tensor:
        return self.state.clone()

    def set_rng_state(self, state: torch.Tensor) -> None:
        self.state = state


@pytest.mark.parametrize(("kind", "expected"), [("cuda", [1, 2]), ("mps", [9]), ("cpu", [9])])
def test_a_gpu_draws_on_from_where_it_was_and_another_kind_from_its_own_start(kind, expected, tmp_path, monkeypatch):
    device = Device([1, 2])
    monkeypatch.setattr(torch, "get_device_module", lambda *_: device)

    def on(kind: str) -> LanguageModelling:
        monkeypatch.setattr(LanguageModelling, "device", SimpleNamespace(type=kind))
        config = ModelConfig(
            vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
            num_key_value_heads=1, head_dim=8, max_position_embeddings=4,
        )  # fmt: skip
        return LanguageModelling(Transformer(config), OptimConfig(), ["loss"], TOKENIZER.token_bytes)

    kept: dict[str, Any] = {}
    on("cuda").on_save_checkpoint(kept)
    assert [list(states) for states in kept["sprig"]["device_random_states"]] == [["cuda"]]
    torch.save(kept, tmp_path / "state.ckpt")
    device.state = torch.tensor([9], dtype=torch.uint8)
    resumed = on(kind)
    resumed.on_load_checkpoint(torch.load(tmp_path / "state.ckpt", weights_only=True))
    resumed.on_train_start()
    assert device.state.tolist() == expected


def test_a_processor_keeps_no_other_random_numbers_than_its_own(tmp_path):
    fitted(tmp_path, Record(), (0.0, "padded", 1, None), None)
    state = torch.load(newest_state(tmp_path / "states")[0], weights_only=True)["sprig"]
    assert state["device_random_states"] == [{}] and len(state["random_states"]) == 1
