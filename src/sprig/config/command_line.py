"""What the shell hands over, made into what Hydra reads: free text is quoted, a resumed run's settings are put back."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

CONF = Path(__file__).parents[3] / "conf"
FREE_TEXT = ("prompt", "ckpt", "resume", "data.path", "data.name", "model.init_from", "output_dir", "cache_dir")
"""Settings whose value is taken as it stands, whatever commas, brackets and equal signs it has."""

# Hydra would take an option named true for a truth value, which a group cannot be; verbs that train nothing have
# nothing to make smaller and slower, so there it is the traceback alone.
_WITH_VALUE = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p"} | {
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun")
}
_DEBUG = {"train": 'debug="true"'}


def prepare(verb: str, argv: list[str]) -> list[str]:
    """The command line for Hydra; several `prompt=` become one list. ValueError for a run that cannot be resumed."""
    texts: dict[str, list[str]] = {}
    others = []
    for argument in argv[1:]:
        key, equals, value = argument.partition("=")
        if not argument.isascii() and _not_utf8(argument):
            raise ValueError(f"{key} has bytes that are not UTF-8 in this terminal's command line: {argument!r:.80}")
        if key.startswith("+") and not key.startswith(("+hydra", "++hydra", "+data.filters.", "++data.filters.")):
            raise ValueError(f"{argument:.80} would add a setting, and nothing would read it: leave out the +.")
        if equals and key in FREE_TEXT:
            if key.endswith("_dir"):
                value = str(Path(value).expanduser())
            if key not in texts:
                others.append(key)  # its place, for Hydra takes no settings behind flags
            texts.setdefault(key, []).append(value)
        elif key == "data.filters" and re.fullmatch(r"\w+(,\w+)*", value):  # named thresholds: options of a group
            others.append(f"data/filters={value}")
        elif key.startswith("data.filters."):  # one that the chosen thresholds have, or one more
            others.append(f"++{argument}")
        else:
            others.append(_DEBUG.get(verb, "debug=traceback") if argument == "debug=true" else argument)
    quoted = {
        key: f"{key}=[{','.join(map(quote, values))}]" if key == "prompt" else f"{key}={quote(values[-1])}"
        for key, values in texts.items()
    }
    arguments = [quoted.get(argument, argument) for argument in others]
    if "resume" in texts:
        directory = resolve_run(texts["resume"][-1], texts.get("output_dir", ["outputs"])[-1])
        arguments = going_on(directory, arguments)
    return [argv[0], *_fine_tuning(verb, arguments)]


def _fine_tuning(verb: str, arguments: list[str]) -> list[str]:
    """The arguments, and for a model that is trained already a pace that does not undo it, unless one is chosen.

    ValueError for settings that such a model brings with it.
    """
    keys = {argument.partition("=")[0]: argument for argument in arguments}
    if "model.init_from" not in keys:
        return arguments
    for key, argument in keys.items():
        if key in ("model", "data.vocab_size") or (key.startswith("model.") and key != "model.init_from"):
            raise ValueError(
                f"{argument:.80}: with model.init_from, the shape and the vocabulary are those of the model in that "
                f"directory. Leave {key} out."
            )
    return arguments if verb != "train" or "optim" in keys else ["optim=fine_tune", *arguments]


def flags_last(arguments: Sequence[str]) -> list[str]:
    """The arguments with Hydra's flags behind the settings: it takes settings in one block, wherever that is."""
    settings, flags = list[str](), list[str]()
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith("-"):
            settings.append(argument)
            continue
        flags.append(argument)
        if argument in _WITH_VALUE:
            flags += islice(waiting, 1)
    return [*settings, *flags]


def _not_utf8(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return True
    return False


def resolve_run(resume: str, output_dir: str) -> Path:
    """The run directory that `resume=` names: a path, or `last` for the newest run of output_dir."""
    directory = Path(output_dir) / "latest" if resume == "last" else Path(resume).expanduser()
    directory = directory.resolve()
    if not has_state(directory):
        raise ValueError(
            f"resume={resume}: {directory} has no state in checkpoints/states to go on from. "
            f"Name the directory of an interrupted run."
        )
    return directory


def has_state(directory: Path) -> bool:
    """Whether the run in directory has saved something to go on from."""
    return any((directory / "checkpoints" / "states").glob("step-*"))


def going_on(directory: Path, arguments: list[str]) -> list[str]:
    """The overrides that started the run in directory, but for those given anew, its directory, and those given.

    ValueError where what it was started by cannot be read.

    A run directory may come from a stranger: what would configure Hydra itself (its callbacks name functions to
    call) is refused; everything else has to pass the typed schemas, which call nothing.
    """
    arguments = [argument for argument in arguments if argument != "data.batch_size=auto"]  # it keeps what it found
    given = {argument.partition("=")[0] for argument in arguments} | {"resume"}
    path = directory / ".hydra" / "overrides.yaml"
    try:
        overrides = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}): restore it, or start a new run.") from error
    if not isinstance(overrides, list):
        raise ValueError(f"{path} is no list of settings: restore it, or start a new run.")
    for override in map(str, overrides):
        if re.match(r"[+~]*(hydra\b|.*_target_)", override):
            raise ValueError(f"{directory}/.hydra/overrides.yaml has {override!r:.80}, which no run of Sprig's writes.")
    keys = {override: override.partition("=")[0] for override in map(str, overrides)}
    anew = _of_options(arguments)
    kept = [it for it, key in keys.items() if key not in given and not key.lstrip("+").startswith(anew)]
    # Hydra writes .hydra before anything is checked; a run that is refused must keep the settings it had.
    return [*kept, f"hydra.run.dir={quote(str(directory))}", "hydra.output_subdir=null", *arguments]


def _of_options(arguments: list[str]) -> tuple[str, ...]:
    """How settings start that belong to options chosen in arguments, or to those that were chosen instead of them.

    Of a source of data all do: another has others. Of another group, those that the option's own file sets.
    """
    found = []
    for argument in arguments:
        group, _, option = argument.partition("=")
        file = CONF / group / f"{option}.yaml"
        if group == "data":
            found += ["data.", "data/"]
        elif re.fullmatch(r"\w{1,80}", option) and file.is_file():  # other values may be too long for a file's name
            found += [f"{group}.{key}" for key in yaml.safe_load(file.read_text(encoding="utf-8")) if key != "defaults"]
    return tuple(found)


def as_typed(override: str) -> str:
    """An override that Hydra has read, as a user would give it to `prepare`."""
    key, _, value = override.partition("=")
    if key in FREE_TEXT and value.startswith('"'):
        text = OverridesParser.create().parse_override(override).value()
        return f"{key}=" + re.sub(r"(\\+)\$\{", lambda found: found[1][len(found[1]) // 2 + 1 :] + "${", str(text))
    return "debug=true" if override == _DEBUG["train"] else override


def command() -> list[str]:
    """What settings are put behind to train with them, on a terminal in Sprig's folder."""
    return ["python", "src/train.py", *(where_configs_are() if HydraConfig.initialized() else [])]


def where_configs_are() -> list[str]:
    """Hydra's own words on this command line for settings that stand elsewhere than in conf/<verb>.yaml."""
    hydra = HydraConfig.get()
    flags = {"main": "--config-path", "command-line": "--config-dir"}
    at = {source.provider: source.path for source in hydra.runtime.config_sources if source.provider in flags}
    if Path(at["main"]) == CONF:
        del at["main"]
    own = hydra.job.config_name not in {path.stem for path in CONF.glob("*.yaml")}
    return [
        *(f"{flags[provider]}={path}" for provider, path in at.items()),
        *([f"--config-name={hydra.job.config_name}"] if own else []),
        *(override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath=")),
    ]


def quote(value: str) -> str:
    """A quoted string of Hydra's grammar that stands for exactly value."""
    # OmegaConf reads "${" as the start of an interpolation unless a backslash stands before it.
    escaped = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    return QuotedString(escaped, Quote.double).with_quotes()
