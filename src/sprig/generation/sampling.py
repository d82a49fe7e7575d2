"""From logits to the next token: temperature, then top-k, then top-p, then one draw.

The steps and their order are those of Hugging Face's `generate`. Everything is computed in float32, whatever
type the logits have, and a draw is made on the CPU, so that a seed means the same on every device.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sprig.generation.config import SamplingConfig


def distribution(logits: Tensor, config: SamplingConfig) -> Tensor:
    """The probabilities (B, V) that the next tokens are drawn from, given logits (B, V).

    Of equal logits the lower id counts as the likelier: top_k leaves exactly k tokens, and top_k=1 the one
    that temperature 0 takes. top_p keeps the fewest of them that together reach p, at least one. ValueError
    if a logit is nan or infinite.
    """
    logits = _finite(logits)
    if config.temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    # Less the maximum first: a tiny temperature would otherwise overflow to inf, and inf - inf is nan.
    smallest = torch.finfo(torch.float32).tiny
    scaled = (logits - logits.amax(-1, keepdim=True)) / max(config.temperature, smallest)
    if config.top_k is None and config.top_p == 1:
        return scaled.softmax(-1)
    ordered, ids = scaled.sort(dim=-1, descending=True, stable=True)
    if config.top_k is not None:
        ordered[:, config.top_k :] = -torch.inf
    probabilities = ordered.softmax(-1)
    if config.top_p < 1:  # not at 1: the sum, rounded, reaches 1 before the last tokens
        before = probabilities.cumsum(-1) - probabilities  # exactly 0 for the likeliest, which thus stays
        probabilities = probabilities.masked_fill(before >= config.top_p, 0.0)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, ids, probabilities)


def choose(logits: Tensor, config: SamplingConfig, generators: Sequence[torch.Generator]) -> list[int]:
    """The next token of each row of logits (B, V), drawn with that row's own generator.

    Temperature 0 takes the likeliest, the lowest id among equals, and draws nothing.
    """
    if config.temperature == 0:
        greedy: list[int] = _finite(logits).argmax(-1).tolist()
        return greedy
    # On the CPU: a parallel cumulative sum need not be monotone, and could point at a token that was cut.
    edges = distribution(logits, config).cpu().double().cumsum(-1)  # (B, V)
    draws = torch.cat([torch.rand(1, dtype=torch.float64, generator=generator) for generator in generators])
    # The first edge beyond the draw: a token of probability 0 has no width, so it is never met.
    chosen: list[int] = torch.searchsorted(edges, (draws * edges[:, -1])[:, None], right=True)[:, 0].tolist()
    return chosen


def generator_for(seed: int, prompt: int, sample: int) -> torch.Generator:
    """The source of chance of one completion, the same whatever else is generated beside it."""
    digest = hashlib.blake2b(f"{seed} {prompt} {sample}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))


def _finite(logits: Tensor) -> Tensor:
    logits = logits.float()
    broken = int((~logits.isfinite()).sum())
    if broken:
        raise ValueError(
            f"{broken} of the model's {logits.numel()} logits are nan or infinite: its training diverged or "
            "its weights are damaged. Take an earlier checkpoint."
        )
    return logits
