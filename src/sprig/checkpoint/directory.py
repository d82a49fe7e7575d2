"""The checkpoint directory as a whole: which files it has, how it is saved, loaded, and found.

model.safetensors        weights, float32                       weights.py
config.json              the model's shape, Hugging Face's keys  settings.py, rope.py
generation_config.json   which token ends a text                 settings.py
tokenizer.json           vocabulary and merges                   sprig.data.tokenizer, read by tokenizer_file.py
tokenizer_config.json    how transformers opens tokenizer.json   sprig.data.tokenizer
sprig.json               what training says of itself            handed in by the caller
manifest.json            size and SHA-256 of each of the above   files.py
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprig.checkpoint.files import (
    JSON_LIMIT,
    check_manifest,
    member,
    read_json,
    replacing,
    to_json,
    write_manifest,
)
from sprig.checkpoint.settings import from_huggingface, generation_settings, to_huggingface
from sprig.checkpoint.tokenizer_file import TOKENIZER, read_tokenizer
from sprig.checkpoint.weights import INDEX, WEIGHTS, read_weights, weight_files, write_weights
from sprig.data.tokenizer import CodeTokenizer
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

CONFIG = "config.json"
FACTS = "sprig.json"
_NEEDED = (WEIGHTS, CONFIG, TOKENIZER)

_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
_NEVER_READ = "pickles can run code and are never read"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint directory holds, on the CPU."""

    directory: Path
    transformer: Transformer
    """In eval mode, float32."""
    tokenizer: CodeTokenizer
    facts: dict[str, Any]
    """What the run said of itself; empty for a directory that has no sprig.json."""


def save(directory: Path, transformer: Transformer, tokenizer: CodeTokenizer, facts: Mapping[str, Any]) -> None:
    """Write a checkpoint directory, in the place of the one that may be there.

    ValueError for facts that are not plain JSON (a tuple, a Path, NaN), for weights that are not finite, and
    for a directory in the way that is no checkpoint; OSError where the disk does not take it. Whatever goes
    wrong, what was there before stays, and nothing half-written gets the name.
    """
    assert tokenizer.vocab_size <= transformer.config.vocab_size
    described = to_json(facts)
    with replacing(directory) as part:
        (part / CONFIG).write_text(to_json(to_huggingface(transformer.config, tokenizer)), encoding="utf-8")
        (part / "generation_config.json").write_text(to_json(generation_settings(tokenizer)), encoding="utf-8")
        (part / FACTS).write_text(described, encoding="utf-8")
        tokenizer.save(part)
        write_weights(part / WEIGHTS, transformer)
        shutil.copymode(part / CONFIG, part / WEIGHTS)  # safetensors lets nobody but the owner read
        write_manifest(part)


def load(directory: Path, *, verify: bool = True) -> Checkpoint:
    """Read a checkpoint directory; ValueError, with file and reason, for anything not as it should be.

    verify=False asks for no manifest, as a model directory from elsewhere has none (`write_manifest` gives it
    one). Everything else is checked all the same.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is no directory: there is no checkpoint to load.")
    if missing := _missing(directory):
        raise ValueError(_why_not(directory, missing, of_a_run=verify))
    has_facts = (directory / FACTS).exists()
    if verify:
        check_manifest(directory, needed=(*_NEEDED, FACTS) if has_facts else _NEEDED)
    config = _read_config(member(directory, CONFIG))
    tokenizer = read_tokenizer(directory, config.vocab_size)
    facts = read_json(member(directory, FACTS), JSON_LIMIT) if has_facts else {}
    transformer = read_weights(weight_files(directory), config)
    return Checkpoint(directory, transformer.eval(), tokenizer, facts)


def load_from_elsewhere(place: str) -> Checkpoint:
    """Read the Hugging Face model directory that model.init_from= names: Qwen3's, Qwen2's or Llama's kind.

    What Sprig has saved is verified by its manifest; what others have comes without one. ValueError as for `load`.
    """
    try:
        directory = Path(place).expanduser()
        there = bool(place) and directory.is_dir()
    except (OSError, RuntimeError) as error:  # a name too long; a home that is nobody's
        raise ValueError(f"model.init_from={place}: {error}") from error
    if not there:
        raise ValueError(
            f"model.init_from={place}: there is no such directory, and nothing is downloaded. "
            f"Give a model's directory, as `hf download` leaves it: {CONFIG}, {WEIGHTS}, {TOKENIZER}."
        )
    try:
        return load(directory, verify=(directory / FACTS).exists())
    except ValueError as error:
        raise ValueError(f"model.init_from: {error}") from error


def _missing(directory: Path) -> list[str]:
    """The needed files that are not there, the weights in one file or in several."""
    there = [name for name in (*_NEEDED, INDEX) if (directory / name).is_file()]
    return [name for name in _NEEDED if name not in there and not (name == WEIGHTS and INDEX in there)]


def _why_not(directory: Path, missing: list[str], *, of_a_run: bool) -> str:
    pickles = sorted(path.name for path in directory.iterdir() if path.suffix in _PICKLES)
    if WEIGHTS in missing and pickles:
        return f"{directory} has {pickles[0]!r} but no {WEIGHTS}: {_NEVER_READ}. Ask for safetensors."
    advice = " Give checkpoints/best or checkpoints/last of a run." if of_a_run else ""
    return f"{directory} is no whole checkpoint directory: it has no {', '.join(missing)}.{advice}"


def _read_config(path: Path) -> ModelConfig:
    values = read_json(path, JSON_LIMIT)
    try:
        return from_huggingface(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def resolve(ckpt: str, outputs: Path) -> Path:
    """The checkpoint directory meant by ckpt=: itself, a run directory (its best), or `last` or `best`.

    The words mean those of the newest run, outputs/latest (say ./last for a directory of that name). The path
    returned has no link in it, so that a run that starts meanwhile does not change what it means. ValueError
    if nothing is there.
    """
    path = outputs / "latest" / "checkpoints" / ckpt if ckpt in ("last", "best") else _given(ckpt)
    if (path / "checkpoints").is_dir():
        path = path / "checkpoints" / "best"
    if not path.is_dir():
        raise ValueError(f"ckpt={ckpt}: there is no directory {path}. Train first: python src/train.py")
    return path.resolve()


def _given(ckpt: str) -> Path:
    """The directory that a user gave by its path; ValueError if it is none."""
    try:
        path = Path(ckpt).expanduser()
        is_file, is_directory = path.is_file(), path.is_dir()
    except (OSError, RuntimeError) as error:  # a name too long; a home that is nobody's
        raise ValueError(f"ckpt={ckpt}: {error}") from error
    if is_file and path.suffix in _PICKLES:
        raise ValueError(
            f"ckpt={ckpt} is a pickle: {_NEVER_READ}.\n"
            f"Give the directory that has {WEIGHTS}, such as checkpoints/best of a run."
        )
    if is_file:
        raise ValueError(f"ckpt={ckpt} is a file: give the checkpoint directory that it is in.")
    if not ckpt or not is_directory:
        raise ValueError(
            f"ckpt={ckpt}: there is no such directory. Give a checkpoint directory, a run directory, or the "
            "word last or best.\nTrain first: python src/train.py"
        )
    return path
