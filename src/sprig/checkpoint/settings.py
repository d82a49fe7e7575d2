"""`ModelConfig` <-> Hugging Face's config.json, written for transformers 4 and 5 alike.

What is read may come from a stranger: each value's type and range is checked before it sizes anything, and a
setting that would make the model compute something else than ours is refused, never ignored.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

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
_LARGEST_ROTARY_TABLE = 1 << 25  # max_position_embeddings * head_dim numbers of 4 bytes, kept in no file


def to_huggingface(config: ModelConfig) -> dict[str, Any]:
    """The object to write to config.json."""
    settings = asdict(config)
    # The model type says these two. Qwen2 always has the biases; for the others true would add one to o_proj.
    del settings["qk_norm"], settings["attention_bias"]
    return {
        "architectures": [_ARCHITECTURES[config.model_type]],
        "model_type": config.model_type,
        **settings,
        "hidden_act": "silu",
        # Twice, since transformers 4 and 5 look in different places; rope_theta is among the settings already.
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "torch_dtype": "float32",
        "dtype": "float32",
        **generation_settings(),
    }


def generation_settings() -> dict[str, Any]:
    """The object to write to generation_config.json: greedy, until end of text."""
    return {
        "bos_token_id": CodeTokenizer.end_of_text,
        "eos_token_id": CodeTokenizer.end_of_text,
        "pad_token_id": CodeTokenizer.pad,
    }


def from_huggingface(values: Mapping[str, Any]) -> ModelConfig:
    """Read the object of a config.json; ValueError for a model that is not one of ours.

    What is absent or null means what it means to transformers; an absent number of key-value heads is that of
    the query heads, and the shapes of the weights show whether that holds.
    """
    _refuse_other_models(values)
    model_type = values["model_type"]
    heads = _integer(values, "num_attention_heads")
    hidden_size = _integer(values, "hidden_size")
    config = ModelConfig(
        vocab_size=_integer(values, "vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=_integer(values, "intermediate_size"),
        num_hidden_layers=_integer(values, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=_integer(values, "num_key_value_heads", default=heads),
        head_dim=_integer(values, "head_dim", default=None if model_type == "qwen3" else hidden_size // heads),
        max_position_embeddings=_integer(values, "max_position_embeddings"),
        rope_theta=_rope_theta(values),
        rms_norm_eps=_number(values, "rms_norm_eps", default=1e-6),
        tie_word_embeddings=_flag(values, "tie_word_embeddings"),
        qk_norm=model_type == "qwen3",
        attention_bias=model_type == "qwen2",
        attention_dropout=_number(values, "attention_dropout", default=0.0),
        initializer_range=_number(values, "initializer_range", default=0.02),
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
    if _flag(values, "attention_bias") and model_type != "qwen2":
        raise ValueError(f"attention_bias is true: a {model_type} model with it has a bias on o_proj, ours has none.")
    if _flag(values, "mlp_bias"):
        raise ValueError("mlp_bias is true: biases in the MLP are not supported.")
    for name in ("quantization_config", "per_layer_config", "partial_rotary_factor"):
        if values.get(name) is not None:
            raise ValueError(f"{name} is set: a model that has it is not supported.")
    if _flag(values, "use_sliding_window") or _other_layers(values.get("layer_types")):
        raise ValueError("sliding-window attention is in use: only full attention is supported.")


def _other_layers(layer_types: Any) -> bool:
    if layer_types is None:
        return False
    return not isinstance(layer_types, list) or any(kind != "full_attention" for kind in layer_types)


def _rope_theta(values: Mapping[str, Any]) -> float:
    """The base of the rotary positions, from wherever transformers 4 or 5 writes it."""
    places = [values]
    for key in ("rope_scaling", "rope_parameters"):
        rope = values.get(key)
        if rope is None:
            continue
        if not isinstance(rope, dict) or rope.keys() - {"rope_type", "type", "rope_theta"}:
            raise ValueError(f"{key} is {rope!r:.200}: only plain rotary positions are supported.")
        if rope.get("rope_type", rope.get("type", "default")) != "default":
            raise ValueError(f"{key} is {rope!r:.200}: only the type default is supported.")
        places.append(rope)
    given = [place for place in places if place.get("rope_theta") is not None]
    thetas = {_number(place, "rope_theta", default=0.0, smallest=1.0, largest=1e12) for place in given}
    if len(thetas) > 1:
        raise ValueError(f"rope_theta is given twice, as {' and '.join(map(str, sorted(thetas)))}.")
    return thetas.pop() if thetas else 10_000.0


def _integer(values: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = values.get(name)
    value = default if value is None else value
    if type(value) is not int or not 1 <= value <= _LARGEST[name]:  # type(), since true is an int to isinstance
        raise ValueError(f"{name} is {value!r:.80}: it must be an integer from 1 to {_LARGEST[name]}.")
    return value


def _number(values: Mapping[str, Any], name: str, default: float, smallest: float = 0.0, largest: float = 1.0) -> float:
    value = values.get(name)
    value = default if value is None else value
    if type(value) not in (int, float) or not smallest <= value <= largest:
        raise ValueError(f"{name} is {value!r:.80}: it must be a number from {smallest:g} to {largest:g}.")
    return float(value)


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name)
    if value is not None and type(value) is not bool:
        raise ValueError(f"{name} is {value!r:.80}: it must be true or false.")
    return bool(value)
