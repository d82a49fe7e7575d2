import lightning as L
import pytest

from sprig.model.transformer import Layer
from sprig.trace.records import Training
from sprig.training.callbacks import compilation
from sprig.training.callbacks.compilation import Compilation
from sprig.training.loss import LinearCrossEntropy
from training.test_module import data, module, rows_of, trainer


@pytest.fixture
def compiled(monkeypatch) -> list[Layer]:
    """The layers that were compiled; none really is."""
    layers: list[Layer] = []
    monkeypatch.setattr(Layer, "compile", lambda self: layers.append(self))
    monkeypatch.setattr(LinearCrossEntropy, "compile", lambda self: None)
    return layers


@pytest.mark.parametrize("worth", [True, False])
@pytest.mark.parametrize(("limit", "most"), [({"max_steps": 30}, 60), ({"max_time": "00:00:00:03"}, 3)])
def test_after_some_steps_the_rest_of_the_run_decides(limit, most, worth, compiled, monkeypatch, tmp_path):
    asked: list[tuple[float, int]] = []
    training, steps = Training(), []

    class Steps(L.Callback):
        def on_train_batch_start(self, *_):
            steps.append(len(compiled))

    monkeypatch.setattr(compilation, "pays", lambda seconds, device: bool(asked.append((seconds, len(steps))) or worth))
    callback = Compilation(None, "cpu", training)
    trainer(tmp_path, Steps(), callback, **limit, max_epochs=-1, check_val_every_n_epoch=10**6).fit(
        module(), data(rows_of(40))
    )
    [(seconds, after)] = asked
    assert 0 < seconds < most and 5 <= after <= 15
    assert len(compiled) == int(worth) and training.compiled is worth
    assert steps[after] == int(worth) and steps[after - 1] == 0


def test_what_was_asked_for_is_done_at_once_or_never(compiled, tmp_path):
    for when in (False, True):
        compiled.clear()
        training = Training()
        trainer(tmp_path, Compilation(when, "cpu", training), max_steps=3, max_epochs=-1).fit(
            module(), data(rows_of(8))
        )
        assert len(compiled) == int(when) and training.compiled is when


@pytest.mark.slow
def test_a_compiled_model_learns_the_same_under_the_same_names(tmp_path):
    figures = []
    for when in (False, True):
        trained = module(lr=0.01)
        names = list(trained.state_dict())
        run = trainer(tmp_path, Compilation(when, "cpu", Training()), max_epochs=3)
        run.fit(trained, data(rows_of(12)))
        assert list(trained.state_dict()) == names
        figures.append(run.callback_metrics["val/loss"].item())
    assert figures[1] == pytest.approx(figures[0], rel=1e-3)
