"""Looks into the model while it generates: what each layer made of the position that is being continued.

It listens through forward hooks: the model holds no tracing code and computes the same with and without.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sprig.generation.config import SamplingConfig
from sprig.generation.sampling import distribution
from sprig.model.transformer import Transformer
from sprig.trace.records import Candidate, LayerTrace, TokenTrace

_TOP = 5  # candidates in each list of the trace


class PredictionTrace:
    """Within its `with` block, keeps the embeddings and residual streams of the model's latest forward pass.

    name_tokens gives each id as text for people to read.
    """

    def __init__(self, model: Transformer, name_tokens: Callable[[list[int]], list[str]]) -> None:
        self._model = model
        self._name_tokens = name_tokens
        self._hooks: list[RemovableHandle] = []
        self._embeddings = torch.empty(0)  # (B, T, D), of the tokens that entered
        self._residuals: list[Tensor] = []  # one (B, D) for each layer, of the last position

    def __enter__(self) -> "PredictionTrace":
        decoder = self._model.model
        self._hooks = [decoder.embed_tokens.register_forward_hook(self._after_embedding)]
        self._hooks += [layer.register_forward_hook(self._after_layer) for layer in decoder.layers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _after_embedding(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._embeddings, self._residuals = output, []

    def _after_layer(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._residuals.append(output[:, -1])

    def tokens(
        self, logits: Tensor, config: SamplingConfig, chosen: Sequence[int], texts: Sequence[str]
    ) -> list[TokenTrace]:
        """The trace of the tokens chosen from logits (B, V) of the latest pass, one for each row.

        texts are the rows' sequences so far, the chosen tokens included.
        """
        residuals = torch.stack(self._residuals, dim=1)  # (B, L, D)
        lens = _softmax(self._model.lm_head(self._model.model.norm(residuals)))  # (B, L, V)
        residual_norms = residuals.float().norm(dim=-1).tolist()
        embedding_norms = self._embeddings.float().norm(dim=-1).tolist()
        softmax, sampled_from = _softmax(logits), distribution(logits, config).cpu()
        return [
            TokenTrace(
                embedding_norms=embedding_norms[row],
                layers=[
                    LayerTrace(layer, norm, self._top(guess))
                    for layer, (norm, guess) in enumerate(zip(residual_norms[row], lens[row], strict=True))
                ],
                softmax=self._top(softmax[row]),
                sampled_from=self._top(sampled_from[row]),
                chosen=self._candidates([id], softmax[row])[0],
                rank=_rank(logits[row], id),
                text=text,
            )
            for row, (id, text) in enumerate(zip(chosen, texts, strict=True))
        ]

    def _top(self, probabilities: Tensor) -> list[Candidate]:
        """The likeliest of (V,) probabilities, lower ids first among equals, none that cannot come."""
        ordered, ids = probabilities.sort(descending=True, stable=True)
        return self._candidates(ids[:_TOP][ordered[:_TOP] > 0].tolist(), probabilities)

    def _candidates(self, ids: list[int], probabilities: Tensor) -> list[Candidate]:
        names = self._name_tokens(ids)
        return [Candidate(id, name, float(probabilities[id])) for id, name in zip(ids, names, strict=True)]


def _softmax(logits: Tensor) -> Tensor:
    """In float64, where logits that differ do not round to one probability: their order is kept."""
    return logits.cpu().double().softmax(-1)


def _rank(logits: Tensor, id: int) -> int:
    """The place of id in the order of (V,) logits, from 1; among equals the lower id comes first."""
    return 1 + int((logits > logits[id]).sum()) + int((logits[:id] == logits[id]).sum())
