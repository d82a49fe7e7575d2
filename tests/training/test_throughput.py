import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.loss import LinearCrossEntropy
from sprig.training.precision import resolve_precision
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


@pytest.mark.parametrize(
    ("avx512", "amx", "device", "precision"),
    [
        (True, False, "cpu", "bf16-mixed"),
        (False, True, "cpu", "bf16-mixed"),
        (False, False, "cpu", "32-true"),
        (True, True, "mps", "32-true"),
    ],
)
def test_numbers_are_narrow_where_the_processor_multiplies_them_fast(avx512, amx, device, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert resolve_precision("auto", device) == precision
    assert resolve_precision("64-true", device) == "64-true"
    assert resolve_precision("bf16", device) == "bf16-mixed"


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "32-true"), ((8, 0), "bf16-mixed")])
def test_numbers_are_narrow_on_gpus_that_have_them(capability, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert resolve_precision("auto", "cuda") == precision
