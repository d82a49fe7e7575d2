"""`ModelConfig` <-> Hugging Face's config.json, written for transformers 4 and 5 alike.

What is read may come from a stranger: each value's type and range is checked before it sizes anything, and a
setting that would make the model compute something else than ours is refused, never ignored.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sprig.checkpoint.rope import from_rope, to_rope
from sprig.checkpoint.values import flag, integer, number
from sprig.data.tokenizer import CodeTokenizer
from sprig.model.config import ModelConfig

_ARCHITECTURES = {"qwen3": "Qwen3ForCausalLM", "qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}

# Far above any model there is, and low enough that the names and shapes can be laid out at once.
_LARGEST = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1 << 9,
    "num_attention_heads": 1 << 10,
    "num_key_value_heads": 1 << 10,
    "head_dim": 1 << 12,
    "max_position_embeddings": 1 << 21,
}
_OTHER_CONTEXT = "original_max_position_embeddings"  # beside the rotary positions, it would overrule what stands there
_LARGEST_ROTARY_TABLE = 1 << 25  # max_position_embeddings * head_dim numbers of 4 bytes, kept in no file


def to_huggingface(config: ModelConfig, tokenizer: CodeTokenizer) -> dict[str, Any]:
    """The object to write to config.json."""
    settings = asdict(config)
    del settings["rope_theta"], settings["rope_scaling"]
    # The model type says these two. Qwen2 always has the biases; for the others true would add one to o_proj.
    del settings["qk_norm"], settings["attention_bias"]
    return {
        "architectures": [_ARCHITECTURES[config.model_type]],
        "model_type": config.model_type,
        **settings,
        "hidden_act": "silu",
        **to_rope(config),
        "torch_dtype": "float32",
        "dtype": "float32",
        **generation_settings(tokenizer),
    }


def generation_settings(tokenizer: CodeTokenizer) -> dict[str, Any]:
    """The object to write to generation_config.json: greedy, until end of text."""
    return {
        "bos_token_id": tokenizer.opening,
        "eos_token_id": tokenizer.end_of_text,
        "pad_token_id": tokenizer.pad,
    }


def from_huggingface(values: Mapping[str, Any]) -> ModelConfig:
    """Read the object of a config.json; ValueError for a model that is not one of ours.

    What is absent or null means what it means to transformers; an absent number of key-value heads is that of
    the query heads, and the shapes of the weights show whether that holds.
    """
    _refuse_other_models(values)
    model_type = values["model_type"]
    heads = _size(values, "num_attention_heads")
    hidden_size = _size(values, "hidden_size")
    context = _size(values, "max_position_embeddings")
    rope_theta, rope_scaling = from_rope(values, context)
    config = ModelConfig(
        vocab_size=_size(values, "vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=_size(values, "intermediate_size"),
        num_hidden_layers=_size(values, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=_size(values, "num_key_value_heads", default=heads),
        head_dim=_size(values, "head_dim", default=None if model_type == "qwen3" else hidden_size // heads),
        max_position_embeddings=context,
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        rms_norm_eps=number(values, "rms_norm_eps", default=1e-6),
        tie_word_embeddings=flag(values, "tie_word_embeddings"),
        qk_norm=model_type == "qwen3",
        attention_bias=model_type == "qwen2",
        attention_dropout=number(values, "attention_dropout", default=0.0),
        initializer_range=number(values, "initializer_range", default=0.02),
    )
    config.check()
    if config.max_position_embeddings * config.head_dim > _LARGEST_ROTARY_TABLE:
        raise ValueError(
            f"max_position_embeddings={config.max_position_embeddings} with head_dim={config.head_dim}: the "
            "table of positions alone would fill the memory."
        )
    return config


def _refuse_other_models(values: Mapping[str, Any]) -> None:
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in _ARCHITECTURES:
        raise ValueError(f"model_type is {model_type!r:.80}: only {', '.join(_ARCHITECTURES)} can be read.")
    if values.get("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act is {values['hidden_act']!r:.80}: only silu is supported.")
    if flag(values, "attention_bias") and model_type != "qwen2":
        raise ValueError(f"attention_bias is true: a {model_type} model with it has a bias on o_proj, ours has none.")
    if flag(values, "mlp_bias"):
        raise ValueError("mlp_bias is true: biases in the MLP are not supported.")
    for name in ("quantization_config", "per_layer_config", "partial_rotary_factor", _OTHER_CONTEXT):
        if values.get(name) is not None:
            raise ValueError(f"{name} is set: a model that has it is not supported.")
    if flag(values, "use_sliding_window") or _other_layers(values.get("layer_types")):
        raise ValueError("sliding-window attention is in use: only full attention is supported.")


def _other_layers(layer_types: Any) -> bool:
    if layer_types is None:
        return False
    return not isinstance(layer_types, list) or any(kind != "full_attention" for kind in layer_types)


def _size(values: Mapping[str, Any], name: str, default: int | None = None) -> int:
    return integer(values, name, _LARGEST[name], default)
