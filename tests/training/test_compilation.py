import lightning as L
import pytest
import torch

from sprig.checkpoint.states import state_path
from sprig.model.transformer import Layer
from sprig.trace.records import Training
from sprig.training.callbacks import compilation
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.callbacks.compilation import Compilation
from sprig.training.loss import LinearCrossEntropy
from training.test_module import data, module, rows_of, state_in, trainer


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


@pytest.mark.parametrize("worth", [True, False])
def test_a_run_that_goes_on_is_compiled_from_its_first_step_if_it_was_before(worth, compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(compilation, "pays", lambda *_: worth)
    checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
    run = trainer(tmp_path, Compilation(None, "cpu", Training()), checkpoints, max_steps=20, max_epochs=-1)
    run.fit(module(), data(rows_of(8)))
    compiled.clear()
    monkeypatch.setattr(compilation, "pays", lambda *_: not worth)
    at_start: list[int] = []

    class Steps(L.Callback):
        def on_train_batch_start(self, *_):
            at_start.append(len(compiled))

    training = Training()
    again = trainer(tmp_path, Compilation(None, "cpu", training), Steps(), max_steps=40, max_epochs=-1)
    again.fit(module(), data(rows_of(8)), ckpt_path=state_in(tmp_path), weights_only=True)
    assert training.compiled is worth and at_start == [int(worth)] * 20


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


def test_a_run_that_goes_on_decides_after_as_many_batches_as_one_that_was_not_stopped(compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(compilation, "pays", lambda *_: True)
    checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
    first = trainer(tmp_path, Compilation(None, "cpu", Training()), checkpoints, max_steps=5, max_epochs=-1)
    first.fit(module(), data(rows_of(8)))
    at: list[int] = []

    class Steps(L.Callback):
        def on_train_batch_start(self, run, *_):
            at.extend([run.global_step] if compiled else [])

    again = trainer(tmp_path, Compilation(None, "cpu", Training()), Steps(), max_steps=20, max_epochs=-1)
    again.fit(module(), data(rows_of(8)), ckpt_path=state_in(tmp_path), weights_only=True)
    assert at[0] == 11


def test_where_compiling_would_fail_a_run_that_did_not_ask_for_it_goes_on_and_says_so(
    compiled, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(compilation, "pays", lambda *_: True)
    monkeypatch.setattr(compilation.compiler, "failing", lambda device: f"no room for {device}")
    training = Training()
    trainer(tmp_path, Compilation(None, "cpu", training), max_steps=20, max_epochs=-1).fit(module(), data(rows_of(8)))
    assert not compiled and training.compiled is False
    assert capsys.readouterr().err.count("Layers are not compiled, which would pay: no room for cpu") == 1


def test_a_run_that_goes_on_does_not_compile_either_where_that_fails_by_now(compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(compilation, "pays", lambda *_: True)
    checkpoints = Checkpoints(tmp_path, lambda *_: None, state_path, "val/loss", "min", {})
    run = trainer(tmp_path, Compilation(None, "cpu", Training()), checkpoints, max_steps=20, max_epochs=-1)
    run.fit(module(), data(rows_of(8)))
    monkeypatch.setattr(compilation.compiler, "failing", lambda device: "no room")
    for when in (None, True):
        compiled.clear()
        training = Training()
        again = trainer(tmp_path, Compilation(when, "cpu", training), max_steps=30, max_epochs=-1)
        again.fit(module(), data(rows_of(8)), ckpt_path=state_in(tmp_path), weights_only=True)
        assert training.compiled is bool(when) and len(compiled) == int(bool(when))  # what is asked for is done


def test_nothing_is_compiled_after_a_run_however_it_ends(compiled, monkeypatch, tmp_path):
    stances: list[str] = []
    monkeypatch.setattr(torch.compiler, "set_stance", stances.append)

    class Fails(L.Callback):
        def on_train_batch_end(self, *_):
            raise ValueError("out of memory")

    trainer(tmp_path, Compilation(True, "cpu", Training()), max_epochs=2).fit(module(), data(rows_of(8)))
    assert stances[0] == "default" and stances[-1] == "force_eager"
    stances.clear()
    failing = trainer(tmp_path, Compilation(True, "cpu", Training()), Fails(), max_epochs=2)
    with pytest.raises(ValueError, match="out of memory"):
        failing.fit(module(), data(rows_of(8)))
    assert stances[0] == "default" and stances[-1] == "force_eager"
