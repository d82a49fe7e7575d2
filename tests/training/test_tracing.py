"""Which epochs of an earlier part a run that goes on takes up."""

from types import SimpleNamespace

import pytest

from sprig.trace.records import Epoch, Run, Trace
from sprig.training.callbacks.tracing import Tracing


@pytest.mark.parametrize(("known", "left"), [(1, [1]), (2, [1, 1]), (None, [1, 1])])
def test_a_validation_that_the_state_does_not_know_is_traced_once(known, left, tmp_path):
    """It came amid a step of several batches, after the state of the step before was saved."""
    traced = Trace(Run("id", "command", "now"), epochs=[Epoch(1, step, 10, 1.0, {}) for step in (1, 1, 2)])
    tracing = Tracing(traced, tmp_path / "trace.json")
    state = Tracing(Trace(Run("id", "command", "now"), epochs=traced.epochs[: known or 0]), tmp_path).state_dict()
    if known is None:  # of a version that did not note it
        del state["epochs"]
    tracing.load_state_dict(state)
    tracing.on_train_start(SimpleNamespace(global_step=1), None)
    assert [epoch.step for epoch in traced.epochs] == left
