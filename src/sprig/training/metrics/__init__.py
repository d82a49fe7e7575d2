"""What is measured on held-out rows. Each module here holds metrics by name: to add one, add a file and a YAML.

A metric is a Ratio of two sums over tokens, so that it is right over batches and processes of any size.
"""

import importlib
import pkgutil
from collections.abc import Sequence

import torch
from torch import nn

from sprig.data.loading import Batch
from sprig.training.metrics.ratio import Ratio, TokenScores

__all__ = ["Metrics", "Ratio", "TokenScores"]


class Metrics(nn.Module):
    """The chosen metrics, fed together."""

    def __init__(self, names: Sequence[str], token_bytes: Sequence[int]) -> None:
        """token_bytes: UTF-8 bytes of each token id. ValueError for a name that no module here defines."""
        super().__init__()
        known = _known()
        for name in names:
            if name not in known:
                raise ValueError(
                    f"metrics.names has {name!r}, which is no metric. There are: {', '.join(sorted(known))}."
                )
        self.metrics = nn.ModuleDict({name: known[name]() for name in names})
        self.token_bytes: torch.Tensor
        self.register_buffer("token_bytes", torch.tensor(token_bytes), persistent=False)

    @torch.no_grad()
    def update(self, logits: torch.Tensor, batch: Batch) -> None:
        """Count a batch with the model's logits (B, T, V) for it."""
        scores = TokenScores.of(logits, batch, self.token_bytes)
        for metric in self.metrics.values():
            metric.update(scores)  # type: ignore[operator]

    def compute(self) -> dict[str, float]:
        """Each metric's value so far by name, over what all processes have counted; nan after a diverged model.

        Those with nothing to count are left out.
        """
        values = {}
        for name, metric in self.metrics.items():
            assert isinstance(metric, Ratio)
            with metric.sync_context():
                if metric.below > 0:
                    values[name] = metric.compute().item()
        return values

    def reset(self) -> None:
        """Forget what was counted."""
        for metric in self.metrics.values():
            metric.reset()  # type: ignore[operator]


def _known() -> dict[str, type[Ratio]]:
    found: dict[str, type[Ratio]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Ratio) and value is not Ratio:
                found[value.name] = value
    return found
