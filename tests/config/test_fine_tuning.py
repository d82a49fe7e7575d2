"""A run that starts from someone else's model has its weights, shape and tokenizer from the first step on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sprig import checkpoint
from sprig.config.evaluating import own_data, own_split
from sprig.config.schema import TrainConfig
from sprig.config.training import train
from sprig.data.loading import Batch
from sprig.training.module import LanguageModelling
from their_models import PADDED, their_logits, write_model

IDS = torch.randint(PADDED, (2, 64), generator=torch.Generator().manual_seed(3))
Settings = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of Llama's kind, its embeddings not tied, its weights in several files."""
    directory = tmp_path_factory.mktemp("theirs")
    write_model(directory, "llama", shard="30KB", tie_word_embeddings=False)
    return directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the first step of a run finds: the batch, and the model's logits of IDS."""
    found: dict[str, Any] = {}

    def look(module: LanguageModelling, batch: Batch, _: int) -> None:
        if not found:
            with torch.no_grad():
                found.update(batch=batch, logits=module.transformer(IDS), training=module.transformer.training)

    monkeypatch.setattr(LanguageModelling, "on_train_batch_start", look)
    return found


def test_the_first_step_finds_their_logits_and_rows_that_open_as_theirs_do(
    theirs: Path, settings: Settings, run: Path, seen: dict[str, Any]
) -> None:
    train(settings(f"model.init_from={theirs}", "trainer.precision=32-true"), run)
    torch.testing.assert_close(seen["logits"], their_logits(theirs, IDS), rtol=0, atol=1e-4)
    assert seen["training"]
    start = checkpoint.load_from_elsewhere(str(theirs)).tokenizer
    assert set(seen["batch"].input_ids[:, 0].tolist()) == {start.opening}
    saved = checkpoint.load(run / "checkpoints" / "best")
    assert saved.tokenizer.fingerprint == start.fingerprint
    assert not torch.equal(saved.transformer(IDS), seen["logits"])  # it has learnt
    trace = json.loads((run / "trace.json").read_text())
    assert trace["stages"][1]["counts"]["vocabulary"] == start.vocab_size
    assert "tokens of the given tokenizer" in trace["stages"][1]["operation"]


def test_its_checkpoint_knows_its_own_split_and_can_be_started_from_again(
    theirs: Path, settings: Settings, run: Path, tmp_path: Path, seen: dict[str, Any]
) -> None:
    train(settings(f"model.init_from={theirs}"), run)
    best = checkpoint.load(run / "checkpoints" / "best")
    trained_on = own_data(best)
    assert trained_on.vocab_size == best.tokenizer.vocab_size < PADDED
    again = own_split(best, trained_on, tmp_path / "cache")
    assert again.funnel.from_cache and again.tokenizer.fingerprint == best.tokenizer.fingerprint
    seen.clear()
    (tmp_path / "next").mkdir()
    train(settings(f"model.init_from={best.directory}"), tmp_path / "next")
    with torch.no_grad():
        assert torch.equal(seen["logits"], best.transformer(IDS))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.seq_len=65"], "data.seq_len=65 is longer than the model's context"),
        (["data.fim_rate=0.5"], "data.fim_rate=0.5 needs tokens that the given tokenizer lacks: <fim_prefix>"),
        (["data.repositories=true"], "lacks: <repo_name>, <file_sep> .*Set data.repositories=false"),
        (["data.seq_len=64", "prompts=[]", "data.vocab_size=9"], None),  # the directory's counts, not this
    ],
)
def test_what_their_model_or_tokenizer_cannot_do_is_refused(
    overrides: list[str], message: str | None, theirs: Path, settings: Settings, run: Path
) -> None:
    chosen = settings(f"model.init_from={theirs}", *overrides)
    if message is None:
        train(chosen, run)
        return
    with pytest.raises(ValueError, match=message) as error:
        train(chosen, run)
    assert str(error.value).count("\n") <= 1


def test_their_tokens_for_filling_in_the_middle_are_used(
    settings: Settings, run: Path, tmp_path: Path, seen: dict[str, Any]
) -> None:
    write_model(tmp_path / "qwen", "qwen2")
    train(settings(f"model.init_from={tmp_path / 'qwen'}", "data.fim_rate=1.0"), run)
    tokenizer = checkpoint.load_from_elsewhere(str(tmp_path / "qwen")).tokenizer
    assert set(seen["batch"].input_ids[:, 1].tolist()) == {tokenizer.special_id("<fim_prefix>")}
    assert tokenizer.special[tokenizer.special_id("<fim_prefix>")] == "<|fim_prefix|>"
