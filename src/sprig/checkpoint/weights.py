"""A transformer's parameters <-> model.safetensors. Tied weights are one parameter and are stored once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

_DTYPES = ("F32", "F16", "BF16")  # as the file's header spells them
_DRAWS = (nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_)


def write_weights(path: Path, transformer: Transformer) -> None:
    """Write the parameters in float32; ValueError if one is not finite, OSError if the disk refuses."""
    weights = {}
    for name, parameter in transformer.named_parameters():
        weights[name] = parameter.detach().to("cpu", torch.float32).contiguous()
        if not weights[name].isfinite().all():
            raise ValueError(f"{name} is not finite: training has diverged, and this model is not saved.")
    try:
        save_file(weights, path, metadata={"format": "pt"})  # transformers refuses a file without this word
    except SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from error


def read_weights(path: Path, config: ModelConfig) -> Transformer:
    """Build the transformer of config with the weights of a file, in float32; ValueError if they do not fit.

    Names, shapes and types in the file's header are compared with the config before memory is taken for them.
    """
    with _Skeleton():
        transformer = Transformer(config)
    expected = dict(transformer.named_parameters())
    try:
        with safe_open(path, framework="pt") as file:
            _check_header(path, file, expected)
            # Copied, since safetensors gives views of the file, which would change or crash with it.
            weights = {name: file.get_tensor(name).to(torch.float32, copy=True) for name in expected}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no safetensors file: {error}. A pickle there can run code and is never read."
        ) from error
    # Not strict, since a tied lm_head is not in the file; assigned, since meta tensors cannot be copied to.
    transformer.load_state_dict(weights, strict=False, assign=True)
    if config.tie_word_embeddings:
        transformer.lm_head.weight = transformer.model.embed_tokens.weight
    return transformer


class _Skeleton(TorchFunctionMode):
    """Modules built in it have parameters without memory and undrawn; the rest of them (the rotary tables) is real.

    torch.device("meta") would do this for all tensors, but draws and counts there load torch's compiler: 2 s.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch in the place of every function of its own."""
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs = kwargs | {"device": "meta"}
        return kwargs["tensor"] if func in _DRAWS else func(*args, **kwargs)


def _check_header(path: Path, file: Any, expected: Mapping[str, Tensor]) -> None:
    stored = set(file.keys())
    if missing := sorted(expected.keys() - stored):
        raise ValueError(f"{path} has no {missing[0]}, which config.json asks for.")
    if unknown := sorted(stored - expected.keys()):
        raise ValueError(f"{path} has {unknown[0]!r:.200}, for which the model of config.json has no place.")
    for name, parameter in expected.items():
        shape, dtype = file.get_slice(name).get_shape(), file.get_slice(name).get_dtype()
        if shape != list(parameter.shape):
            raise ValueError(f"{path}: {name} is {shape}, but config.json asks for {list(parameter.shape)}.")
        if dtype not in _DTYPES:
            raise ValueError(f"{path}: {name} is stored as {dtype}, not as one of {', '.join(_DTYPES)}.")
