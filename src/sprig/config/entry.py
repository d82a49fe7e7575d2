"""From the command line to a verb: Hydra's main around it, and every failure as a few lines and exit code 1.

Hydra hands the verb a composed configuration; here it becomes a plain typed dataclass, so no other module sees
OmegaConf's containers.
"""

import difflib
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sprig.config import children, command_line, launching, multirun, ranks, schema
from sprig.config.run_directory import INTERRUPTED, Interrupted, Occupied, claimed
from sprig.data import sources
from sprig.trace.console import visible

BROKEN_PIPE = 141  # 128 + SIGPIPE


def run(verb: str, task: Callable[[Any, Path], float | None]) -> None:
    """Run `task(settings, run_directory)` under Hydra with conf/<verb>.yaml, and exit."""
    schema.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed with a traceback
    codes = [0]
    try:
        sys.argv = launching.prepare(verb, sys.argv)
        main = hydra.main(config_path=str(command_line.CONF), config_name=verb, version_base="1.3")
        main(_typed(verb, task, codes))()
    except Exception as error:
        codes.append(_report(error, verb))
    except KeyboardInterrupt as interrupt:
        if not (interrupt.__cause__ or ranks.rank()):  # before or after training, when there is nothing to save
            print("Interrupted.", file=sys.stderr)
        codes.append(INTERRUPTED)
    multirun.draw()
    sys.exit(max(codes))


def _typed(
    verb: str, task: Callable[[Any, Path], float | None], codes: list[int]
) -> Callable[[DictConfig], float | None]:
    """What Hydra calls: a failure is reported and its exit code kept, so that a sweep's other jobs go on."""

    def job(cfg: DictConfig) -> float | None:
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            with multirun.job(directory):
                return task(OmegaConf.to_object(cfg), directory)
        except Exception as error:
            codes.append(_report(error, verb, cfg.debug.traceback))
            children.give_reason(error)
            if not isinstance(error, Occupied):
                _forget(directory)
            if isinstance(error, Interrupted):
                raise KeyboardInterrupt from error  # ends the sweep as well
            return float("nan")
        except KeyboardInterrupt:
            _forget(directory)
            raise

    return job


def _forget(directory: Path) -> None:
    """Remove the directory of a run that came to nothing that could be used, unless another run is at work in it."""
    if ranks.owner() and {path.name for path in directory.iterdir()} <= {".hydra", "trace.json", "metrics.csv"}:
        with suppress(Occupied), claimed(directory):
            shutil.rmtree(directory)


def _report(error: Exception, verb: str, show: bool | None = None) -> int:
    """Print what went wrong, with show where; the exit code. Without settings that say so, the command line does."""
    if isinstance(error, Interrupted):
        if not ranks.rank() and str(error):
            print(visible(str(error)), file=sys.stderr)
        return error.exit_code
    if ranks.silent() or isinstance(error, launching.ProcessFailed):
        return 1
    if ranks.rank():
        print(f"process {ranks.rank()}: ", end="", file=sys.stderr)
    if isinstance(error, BrokenPipeError):  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor shall Python complain at its end
        return BROKEN_PIPE
    if show is None:
        show = any(re.fullmatch(r'debug=("true"|traceback)|debug\.traceback=true', option) for option in sys.argv)
    if show:
        traceback.print_exception(error)
    elif "Unexpected type for root" in str(error):  # OmegaConf's word for a key set below a group that is null
        print("Error: data.* belongs to a source: choose one first, for example data=folder.", file=sys.stderr)
    elif isinstance(error, HydraException | OmegaConfBaseException):
        print(visible(_config_message(error, verb)), file=sys.stderr)
    elif isinstance(error, ValueError | OSError) or type(error).__name__ == "MisconfigurationException":  # Lightning's
        print(visible(f"Error: {error}"), file=sys.stderr)
    else:
        said = next(iter(str(error).strip().splitlines()), "")  # a compiler's or a driver's may be pages
        print(visible(f"Error: {type(error).__name__}: {said}\nAdd debug=traceback to see where."), file=sys.stderr)
    return 1


def _config_message(error: Exception, verb: str) -> str:
    """Hydra's and OmegaConf's messages as one or two lines, with the nearest valid key where there is one."""
    text = f"{error}\n{error.__cause__ or ''}"
    if foreign := re.search(r"Could not override '([^']+)'\.\s+No match in the defaults list", text):
        return f"Error: {foreign.group(1)} is nothing to choose for src/{verb}.py; see python src/{verb}.py --help."
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' (?:is )?not in", text)
    full_key = re.search(r"full_key: (\S+)", text)
    if unknown and "not in" in text:
        key = unknown.group(1)
        if full_key and full_key.group(1).endswith(key):
            key = full_key.group(1)
        near = _nearest(key, verb)
        if near == key:
            return f"Error: {key} belongs to another source of data than the one chosen, for example data=folder."
        return f"Error: {key} is no setting; " + (
            f"did you mean {near}?" if near else f"see python src/{verb}.py --help."
        )
    missing = re.search(r"[Mm]issing mandatory value: (\S+)", text)
    if missing:
        return f"Error: {missing.group(1)} has to be given, for example {missing.group(1)}=..."
    group = re.search(r"Could not find '([^']+)/([^']+)'\s+Available options in", text)
    if group:
        options = re.findall(r"^\t(\w+)$", text, flags=re.MULTILINE)
        similar = difflib.get_close_matches(group.group(2), options, 1)
        hint = f"did you mean {group.group(1)}={similar[0]}? " if similar else ""
        return f"Error: {group.group(1)}={group.group(2)} is no option; {hint}There are: {', '.join(options)}."
    merging = re.search(r"Error merging override (.+)", text)
    if merging and error.__cause__:
        why = str(error.__cause__).splitlines()[0].rstrip(".")
        if "is not a ListConfig" in why:
            why = f"this setting takes a list: '{merging.group(1).replace('=', '=[', 1)}]'"
        return f"Error: {merging.group(1)}: {why}."
    if isinstance(error, OverrideParseException):
        return f"Error: {error.override} cannot be read as key=value: {str(error).splitlines()[0]}."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    key_note = f" ({full_key.group(1)})" if full_key and full_key.group(1) not in lines[0] else ""
    return f"Error: {lines[0]}{key_note}"


def _nearest(key: str, verb: str) -> str | None:
    keys = list(_keys(schema.SCHEMAS[verb]))
    for source in sources.names():
        keys += [f"data.{name}" for name in _keys(sources.load(source).Config)]
    nearest = difflib.get_close_matches(key, keys, 1, cutoff=0.6)
    if not nearest:  # the right name in the wrong place: max_epochs for trainer.max_epochs
        leaves = {name.rsplit(".", 1)[-1]: name for name in keys}
        nearest = [leaves[leaf] for leaf in difflib.get_close_matches(key.rsplit(".", 1)[-1], leaves, 1, cutoff=0.75)]
    return nearest[0] if nearest else None


def _keys(dataclass_type: type) -> list[str]:
    """Dotted names of a schema's leaves, in order."""
    hints = get_type_hints(dataclass_type)
    found = []
    for field in fields(cast(Any, dataclass_type)):
        inner = next((kind for kind in (hints[field.name], *get_args(hints[field.name])) if is_dataclass(kind)), None)
        found += [f"{field.name}.{key}" for key in _keys(cast(type, inner))] if inner else [field.name]
    return found
