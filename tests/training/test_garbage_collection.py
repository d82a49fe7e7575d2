import gc

import lightning as L
import pytest

from sprig.training.callbacks import garbage_collection
from sprig.training.callbacks.garbage_collection import GarbageCollection
from training.test_module import data, module, rows_of, trainer


class Watch(L.Callback):
    """Whether automatic collection was on in the steps and in the validations, and what collections there were."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.steps: list[bool] = []
        self.validations: list[bool] = []
        self.collections: list[int] = []
        """The batch, counted from 0, at each collection of all generations."""

    def note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            self.collections.append(len(self.steps) - 1)

    def on_train_start(self, *_):
        gc.callbacks.append(self.note)

    def on_train_batch_start(self, *_):
        self.steps.append(gc.isenabled())
        if len(self.steps) == self.fail_at:
            raise RuntimeError("amid the steps")

    def on_validation_batch_start(self, *_):
        self.validations.append(gc.isenabled())


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Trains two epochs of ten batches with the callback between two others."""
    monkeypatch.setattr(garbage_collection, "_EVERY", 4)

    def train(fail_at: int | None = None) -> Watch:
        watch = Watch(fail_at)
        try:
            trainer(tmp_path, GarbageCollection(), watch, max_epochs=2).fit(module(), data(rows_of(40)))
        finally:
            gc.callbacks.remove(watch.note)
        return watch

    return train


def test_no_step_is_interrupted_and_collections_come_after_some_steps_and_each_validation(watched):
    watch = watched()
    assert watch.steps == [False] * 20 and set(watch.validations) == {True}
    assert [batch for batch in watch.collections if batch >= 0] == [3, 7, 9, 11, 15, 19, 19]


def test_after_training_collection_is_as_it_was(watched):
    for usual in (gc.enable, gc.disable):
        usual()
        before = gc.isenabled()
        watched()
        assert gc.isenabled() is before and gc.get_freeze_count() == 0
    gc.enable()


def test_after_an_error_collection_is_as_it_was(watched):
    with pytest.raises(RuntimeError, match="amid the steps"):
        watched(fail_at=13)
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_a_validation_without_training_is_left_alone(tmp_path):
    trainer(tmp_path, GarbageCollection()).validate(module(), datamodule=data(rows_of(8)), verbose=False)
    assert gc.isenabled() and gc.get_freeze_count() == 0
