"""A transformer's parameters <-> model.safetensors. Tied weights are one parameter and are stored once.

Models of others may come in several such files, listed in model.safetensors.index.json.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sprig.checkpoint.files import JSON_LIMIT, member, read_json
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"

_HEAD = "lm_head.weight"
_EMBEDDINGS = "model.embed_tokens.weight"
_COMPUTED = ".rotary_emb.inv_freq"  # frequencies of rotary positions, which old files have and nothing reads
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


def weight_files(directory: Path) -> list[Path]:
    """The file that holds the weights, or those that an index lists; ValueError for one that is not beside it."""
    if (directory / WEIGHTS).exists() or not (directory / INDEX).exists():
        return [member(directory, WEIGHTS)]
    path = member(directory, INDEX)
    files = read_json(path, JSON_LIMIT).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise ValueError(f"{path} is no index: its weight_map must give a file for each tensor.")
    return [member(directory, name, listed_in=INDEX) for name in sorted(set(files.values()))]


def read_weights(paths: Sequence[Path], config: ModelConfig) -> Transformer:
    """Build the transformer of config with the weights of files, in float32; ValueError if they do not fit.

    Names, shapes and types in the files' headers are compared with the config before memory is taken for them.
    """
    with _Skeleton():
        transformer = Transformer(config)
    expected = dict(transformer.named_parameters())
    with ExitStack() as stack:
        tensors = _headers(paths, stack)
        _check(tensors, expected, paths[0].parent)
        weights = {name: _read(*tensors[name], name) for name in expected}
        if config.tie_word_embeddings and _HEAD in tensors:
            head = _read(*tensors[_HEAD], _HEAD)
            if not torch.equal(head, weights[_EMBEDDINGS]):
                raise ValueError(
                    f"{tensors[_HEAD][0]}: {_HEAD} is not {_EMBEDDINGS}, although config.json says tie_word_embeddings."
                )
    # Not strict, since a tied lm_head is not in the file; assigned, since meta tensors cannot be copied to.
    transformer.load_state_dict(weights, strict=False, assign=True)
    if config.tie_word_embeddings:
        transformer.lm_head.weight = transformer.model.embed_tokens.weight
    return transformer


def _headers(paths: Sequence[Path], stack: ExitStack) -> dict[str, tuple[Path, Any]]:
    """For each tensor its file, and that file opened; ValueError for what is no safetensors, or a name given twice."""
    tensors: dict[str, tuple[Path, Any]] = {}
    for path in paths:
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
        except SafetensorError as error:
            raise ValueError(
                f"{path} is no safetensors file: {error}. A pickle there can run code and is never read."
            ) from error
        for name in file.keys():  # noqa: SIM118  # no mapping
            if name in tensors:
                raise ValueError(f"{path} has {name!r:.200}, and {tensors[name][0].name} has it as well.")
            tensors[name] = path, file
    return tensors


def _read(path: Path, file: Any, name: str) -> Tensor:
    # Copied, since safetensors gives views of the file, which would change or crash with it.
    weight: Tensor = file.get_tensor(name).to(torch.float32, copy=True)
    if not weight.isfinite().all():
        raise ValueError(f"{path}: {name} is not finite: the file is damaged, or the model's training has diverged.")
    return weight


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


def _check(tensors: Mapping[str, tuple[Path, Any]], expected: Mapping[str, Tensor], directory: Path) -> None:
    """Raise ValueError unless the files have the expected tensors, of their shapes, and no others."""
    tied = {} if _HEAD in expected else {_HEAD: expected[_EMBEDDINGS]}  # some write it all the same
    if missing := sorted(expected.keys() - tensors.keys()):
        files = ", ".join(sorted({path.name for path, _ in tensors.values()})) or "no tensor"
        raise ValueError(f"{directory} ({files}) has no {missing[0]}, which config.json asks for.")
    for name, (path, file) in tensors.items():
        parameter = expected.get(name, tied.get(name))
        if parameter is None:
            if name.endswith(_COMPUTED):
                continue
            raise ValueError(f"{path} has {name!r:.200}, for which the model of config.json has no place.")
        shape, dtype = file.get_slice(name).get_shape(), file.get_slice(name).get_dtype()
        if shape != list(parameter.shape):
            raise ValueError(f"{path}: {name} is {shape}, but config.json asks for {list(parameter.shape)}.")
        if dtype not in _DTYPES:
            raise ValueError(f"{path}: {name} is stored as {dtype}, not as one of {', '.join(_DTYPES)}.")
