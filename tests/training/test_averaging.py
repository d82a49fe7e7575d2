"""optim.ema: training goes on with the weights, all else sees their moving average."""

from copy import deepcopy

import lightning as L
import pytest
import torch

from sprig.checkpoint.states import state_path
from sprig.model.transformer import Transformer
from sprig.training.callbacks.checkpoints import Checkpoints
from sprig.training.config import OptimConfig
from training.test_module import data, module, rows_of, state_in, trainer

DECAY = 0.6  # reached after some steps: before, the first ones count for more


class Averages(L.Callback):
    """The average from its definition, and after each batch whether the module's is the same."""

    def on_train_start(self, trainer, pl_module):
        self.model, self.steps, self.agreed = deepcopy(pl_module.transformer), 0, []

    def on_train_batch_end(self, trainer, pl_module, *_):
        step = trainer.global_step
        if step > self.steps:
            decay = min(DECAY, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, now in zip(self.model.parameters(), pl_module.transformer.parameters(), strict=True):
                    mean.copy_(decay * mean + (1 - decay) * now)
        self.steps = step
        self.agreed.append(same(pl_module.averaged, self.model))


def same(one: Transformer, other: Transformer) -> bool:
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture
def fitted(tmp_path):
    """A trained module, its Trainer, the average as it should be, and what was saved, by name."""
    saved, averages = {}, Averages()
    checkpoints = Checkpoints(
        tmp_path, lambda place, model, _: saved.__setitem__(place.name, deepcopy(model)),
        state_path, "val/loss", "min", {},
    )  # fmt: skip
    trained = module(ema=DECAY)
    run = trainer(tmp_path, averages, checkpoints, max_epochs=3)
    run.fit(trained, data(rows_of(40)))
    return trained, run, averages.model, saved


def test_the_average_is_what_is_validated_and_saved_and_generated_with(fitted):
    trained, run, average, saved = fitted
    assert not same(average, trained.transformer)
    assert same(trained.whole_transformer(), average)
    assert same(saved["last"], average) and same(saved["best"], average)
    averaged, alone = run.callback_metrics["val/loss"].item(), module()
    alone.transformer.load_state_dict(average.state_dict())
    run.validate(alone, datamodule=data(rows_of(40)), verbose=False)
    assert run.callback_metrics["val/loss"].item() == pytest.approx(averaged, rel=1e-5)


def test_training_goes_on_with_the_weights_themselves(fitted, tmp_path):
    trained, *_ = fitted
    plain = module()
    trainer(tmp_path, max_epochs=3).fit(plain, data(rows_of(40)))
    assert all(
        torch.equal(a, b) for a, b in zip(trained.transformer.parameters(), plain.transformer.parameters(), strict=True)
    )


def test_a_state_has_the_weights_and_the_average(fitted, tmp_path):
    trained, _, average, _ = fitted
    kept = torch.load(state_in(tmp_path), weights_only=True)["state_dict"]
    again = module(ema=DECAY)
    again.load_state_dict(kept)
    assert same(again.transformer, trained.transformer) and same(again.averaged, average)
    assert set(module().state_dict()) == {name for name in kept if not name.startswith("averaged.")}


@pytest.mark.parametrize("batches", [1, 3])
def test_the_average_is_after_each_step_what_its_definition_says(batches, tmp_path):
    averages = Averages()
    trainer(tmp_path, averages, max_epochs=3, accumulate_grad_batches=batches).fit(module(ema=DECAY), data(rows_of(80)))
    assert averages.agreed == [True] * 60


@pytest.mark.parametrize("decay", [0.0, 1.0, float("nan")])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ValueError, match=r"optim\.ema=.* must be between 0 and 1"):
        OptimConfig(ema=decay).check()
