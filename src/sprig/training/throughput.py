"""How much of what the machine can do a run makes use of."""

import resource
import sys
import time
from dataclasses import dataclass

import torch

from sprig.model.config import ModelConfig


@dataclass(frozen=True)
class Machine:
    """What a run's pace is measured against."""

    peak: float
    """FLOP/s of its matrix multiplications; of all devices together, where there are several."""
    token_flops: float
    """FLOPs of training on one token."""

    def utilisation(self, tokens_per_second: float) -> float:
        """The part of the peak that training at this pace needs, in [0, 1]."""
        return tokens_per_second * self.token_flops / self.peak


def training_flops(config: ModelConfig, seq_len: int) -> float:
    """Floating-point operations that training on one token takes, forward and backward, in rows of seq_len tokens.

    6 for each weight of a matrix that it is multiplied with, and for attention 6 * layers * heads * head size * tokens
    seen: half of what is usual (Chowdhery et al. 2022, arXiv:2204.02311, appendix B), as a token sees only those
    before it. What is computed twice to save memory is not counted.
    """
    heads = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    a_layer = config.hidden_size * (2 * heads + 2 * keys + 3 * config.intermediate_size)
    weights = config.num_hidden_layers * a_layer + config.vocab_size * config.hidden_size
    return 6.0 * weights + 6.0 * config.num_hidden_layers * heads * seq_len


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of multiplying large square matrices on device: the best of a tenth of a second, measured now."""
    size = 1024 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds: list[float] = []
    while len(seconds) < 10 or sum(seconds) < 0.1:  # the first ones wake the machine up
        start = time.perf_counter()
        a @ b
        if device != "cpu":
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / min(seconds))


def peak_memory(device: str) -> int:
    """Bytes: the most that tensors took on a GPU, the most that the process took on a processor."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
