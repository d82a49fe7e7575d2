import shutil
from types import SimpleNamespace

import pytest
import torch

from sprig.config.resources import check_space, disk_needed, how_to_take_less, memory_explained


def test_settings_that_lower_memory_come_in_the_order_of_their_effect(settings):
    said = how_to_take_less(settings("data.seq_len=32", "trainer.accumulate_grad_batches=3"), "32-true")
    words = ("data.batch_size=8", "accumulate_grad_batches=6", "activation_checkpointing=true", "seq_len=16", "model=")
    places = [said.index(word) for word in words]
    assert places == sorted(places) and said.endswith("trainer.precision=bf16-mixed")


def test_what_cannot_be_lowered_is_not_named(settings):
    said = how_to_take_less(settings("data.batch_size=1", "trainer.activation_checkpointing=true"), "bf16-mixed")
    assert "batch_size" not in said and "checkpointing" not in said and "precision" not in said


def too_much() -> None:
    torch.empty(1 << 50)


def on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def in_python() -> None:
    raise MemoryError


@pytest.mark.parametrize("act", [too_much, on_a_gpu, in_python])
def test_an_end_of_memory_is_explained_and_what_a_run_that_goes_on_can_change(act, settings):
    with pytest.raises(ValueError, match="Out of memory") as error, memory_explained(settings(), "32-true"):
        act()
    assert str(error.value).count("\n") == 2 and str(error.value).endswith("can change those of trainer.* alone.")


def test_another_error_is_left_as_it_is(settings):
    with pytest.raises(RuntimeError, match="sizes"), memory_explained(settings(), "32-true"):
        raise RuntimeError("sizes do not match")


def test_space_for_two_states_and_one_being_written_is_asked_for_and_what_is_there_counts(tmp_path, monkeypatch):
    needed = disk_needed(1_000_000)
    assert needed > 3 * 12_000_000 + 3 * 4_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 500_000))
    with pytest.raises(ValueError, match=r"take up to 50 MB[^\n]*\nFree 1 MB") as error:
        check_space(tmp_path, 1_000_000)
    assert str(error.value).count("\n") == 1
    with pytest.raises(ValueError, match="Free 13 MB"):  # a state with an average has its weights twice
        check_space(tmp_path, 1_000_000, averaged=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "state.ckpt").write_bytes(bytes(500_000))
    check_space(tmp_path, 1_000_000)
