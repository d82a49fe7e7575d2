import pytest
import yaml

from sprig.config import vocabulary
from sprig.config.checks import check_data
from sprig.config.command_line import CONF
from sprig.config.preparing import prepare
from sprig.config.schema import PrepareConfig
from sprig.config.training import train
from sprig.data.config import DataConfig
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer


def weights_inside(name: str) -> int:
    """Of a model of conf/model, counted in the model itself, gains left out."""
    settings = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    sizes = {key: value for key, value in settings.items() if isinstance(value, int)}
    model = Transformer(ModelConfig(**sizes | {"vocab_size": 8, "max_position_embeddings": 8}))
    return sum(p.numel() for n, p in model.named_parameters() if "layers." in n and p.ndim == 2)


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
def test_auto_goes_by_the_weights_inside_the_layers(name, settings):
    chosen = settings(f"model={name}", "data.vocab_size=auto")
    assert chosen.model.vocab_size == vocabulary.size_for(weights_inside(name))


def test_a_number_is_taken_as_it_is(settings):
    assert settings("data.vocab_size=777").model.vocab_size == 777


def test_larger_models_never_have_fewer_tokens():
    sizes = [vocabulary.size_for(10**power) for power in range(4, 11)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


@pytest.mark.parametrize("wrong", ["large", None, 3.5, True])
def test_what_is_neither_a_number_nor_auto_is_refused(wrong):
    with pytest.raises(ValueError, match=r"data\.vocab_size=.* must be a number of tokens, or auto"):
        check_data(DataConfig(vocab_size=wrong))


def test_the_model_has_as_many_tokens_as_the_text_gave(settings, tmp_path):
    given = settings("data.vocab_size=auto")
    (tmp_path / "run").mkdir()
    train(given, tmp_path / "run")
    stated = (tmp_path / "run" / "trace.json").read_text()
    assert f"(of {given.model.vocab_size:,}: it has pairs for no more)" in stated


def test_preparing_for_a_model_is_preparing_what_its_training_takes(settings, tmp_path):
    given = settings("data.vocab_size=auto", "model=tiny")
    cache = given.cache_dir
    for name in ("prepared", "run"):
        (tmp_path / name).mkdir()
    prepare(PrepareConfig(name="p", data=given.data, model=given.model, cache_dir=cache), tmp_path / "prepared")
    train(given, tmp_path / "run")
    assert ", taken from the cache" in (tmp_path / "run" / "trace.json").read_text()
