"""The rotary positions of a config.json: plain, or lengthened as Llama 3's are.

transformers 4 has rope_theta, and rope_scaling where a context was lengthened; 5 has both in rope_parameters.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sprig.checkpoint.values import integer, number
from sprig.model.config import ModelConfig, RopeScaling

_PLACES = ("rope_scaling", "rope_parameters")
_KEYS = {"default": set[str](), "llama3": {field.name for field in fields(RopeScaling)}}
_LARGEST_FACTOR = 1e6
_LONGEST = 1 << 21


def to_rope(config: ModelConfig) -> dict[str, Any]:
    """The keys of config.json, written twice: for transformers 4 and for 5."""
    theta = {"rope_theta": config.rope_theta}
    if config.rope_scaling is None:
        return theta | {"rope_parameters": {"rope_type": "default"} | theta}
    scaling = {"rope_type": "llama3"} | asdict(config.rope_scaling)
    return theta | {"rope_scaling": scaling, "rope_parameters": scaling | theta}


def from_rope(values: Mapping[str, Any], context: int) -> tuple[float, RopeScaling | None]:
    """Read rope_theta and the scaling of a model with that context; ValueError for a scaling that is not Llama 3's."""
    given = [key for key in _PLACES if values.get(key) is not None]
    scalings = [_scaling(key, values[key], context) for key in given]
    if any(scaling != scalings[0] for scaling in scalings):
        raise ValueError("rope_scaling and rope_parameters differ: nothing says with which of them it was trained.")
    places = [place for place in (values, *(values[key] for key in given)) if place.get("rope_theta") is not None]
    thetas = {number(place, "rope_theta", default=None, smallest=1.0, largest=1e12) for place in places}
    if len(thetas) > 1:
        raise ValueError(f"rope_theta is given twice, as {' and '.join(map(str, sorted(thetas)))}.")
    return thetas.pop() if thetas else 10_000.0, scalings[0] if scalings else None


def _scaling(key: str, rope: Any, context: int) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else None
    if (
        not isinstance(kind, str)
        or kind not in _KEYS
        or rope.keys() - {"rope_type", "type", "rope_theta", *_KEYS[kind]}
    ):
        raise ValueError(f"{key} is {rope!r:.200}: only the types default and llama3 are supported.")
    if kind == "default":
        return None
    return RopeScaling(
        factor=number(rope, "factor", None, smallest=1.0, largest=_LARGEST_FACTOR),
        low_freq_factor=number(rope, "low_freq_factor", None, largest=_LARGEST_FACTOR),
        high_freq_factor=number(rope, "high_freq_factor", None, largest=_LARGEST_FACTOR),
        original_max_position_embeddings=integer(
            rope, "original_max_position_embeddings", largest=_LONGEST, default=context
        ),
    )
