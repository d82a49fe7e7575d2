"""data.vocab_size=auto: a vocabulary that suits the size of the model.

conf/model asks the resolver below for model.vocab_size, so that `--cfg job --resolve` shows what auto comes to.
"""

from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sprig.data.config import AUTO, DataConfig
from sprig.model.config import ModelConfig

RULE = ((1 << 23, 2048), (1 << 27, 16384))
"""Weights inside the layers, up to which a model has so many tokens; beyond, it is _MOST. The first is measured
(docs/data.md), the others are what models of those sizes usually have."""
_MOST = 32768


def register() -> None:
    """Make ${vocabulary:...} known to Hydra's files."""
    OmegaConf.register_new_resolver("vocabulary", _resolve, replace=True)


def size_for(weights: int) -> int:
    """Tokens for a model that has so many weights inside its layers."""
    return next((tokens for most, tokens in RULE if weights <= most), _MOST)


def settled(data: DataConfig, model: ModelConfig) -> DataConfig:
    """The settings of the data with a number where auto stood: that of the model, which follows data.vocab_size."""
    return replace(data, vocab_size=model.vocab_size) if data.vocab_size == AUTO else data


def _resolve(wanted: Any, *, _parent_: DictConfig) -> Any:
    if wanted != AUTO:
        return wanted
    heads, groups = _parent_.num_attention_heads, _parent_.num_key_value_heads
    attention = 2 * _parent_.hidden_size * _parent_.head_dim * (heads + groups)
    return size_for(_parent_.num_hidden_layers * (attention + 3 * _parent_.hidden_size * _parent_.intermediate_size))
