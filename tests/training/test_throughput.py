import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.loss import LinearCrossEntropy
from sprig.training.throughput import Machine, matmul_peak, peak_memory, training_flops


@pytest.mark.parametrize("keys", [2, 4])
def test_flops_are_those_that_torch_counts_and_those_of_attention_to_what_came_before(keys):
    config = ModelConfig(num_key_value_heads=keys)
    model, ids = Transformer(config), torch.zeros(3, 8, dtype=torch.long)
    with FlopCounterMode(display=False) as counted:
        hidden = model.model(ids)
        LinearCrossEntropy()(hidden, model.lm_head.weight, ids).total.backward()
    matrices = sum(flops for name, flops in counted.get_flop_counts()["Global"].items() if "mm" in str(name))
    attention = 6 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    assert matrices / ids.numel() + attention * 8 == training_flops(config, 8)
    assert training_flops(config, 16) - training_flops(config, 8) == attention * 8


def test_a_pace_is_measured_against_a_peak_that_is_measured_too():
    peak = matmul_peak("cpu", torch.float32)
    assert 1e9 < peak < 1e14
    assert Machine(peak, token_flops=peak / 1000).utilisation(500) == pytest.approx(0.5)


def test_peak_memory_is_in_bytes_and_never_falls():
    before = peak_memory("cpu")
    torch.ones(20 * 2**20).sum()
    assert 50 * 2**20 < before <= peak_memory("cpu") < 64 * 2**30
