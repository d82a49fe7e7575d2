"""sweep=optuna: a sweeper of Hydra's that lets Optuna choose each job's values by what the jobs before came to.

The plugin that there is (hydra-optuna-sweeper) wants, in its release for this Hydra, an Optuna of before 2022.
The study is a journal in the sweep's directory, its jobs stand there under their numbers: a sweep that was interrupted
goes on with what it knows, and the job that was cut off from its last state. Hydra finds this module by itself, as all
that stand in a folder of this name.
"""

import shlex
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sprig.config import multirun
from sprig.config.command_line import going_on, has_state, quote
from sprig.config.run_directory import claimed
from sprig.trace.jobs import JobResult

_JOURNAL = "study.journal"


@dataclass
class OptunaConfig:
    """What `hydra.sweeper.` takes."""

    _target_: str = "hydra_plugins.sprig_optuna.OptunaSweeper"
    n_trials: int = 20
    """Jobs in all, those of before an interruption included."""
    seed: int = 0
    """Draws the values that are tried."""


class OptunaSweeper(Sweeper):
    """Runs a job for each trial of a study; the tree-structured Parzen estimator chooses their values."""

    def __init__(self, n_trials: int, seed: int) -> None:
        self.n_trials, self.seed = n_trials, seed
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's: keep what a sweep needs."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs that the study still lacks; ValueError where it cannot go on as the study that it was."""
        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(arguments)
        searched = {each.get_key_element(): each for each in overrides if each.is_sweep_override()}
        fixed = [
            f"{each.get_key_element()}={each.get_value_element_as_str()}"
            for each in overrides
            if not each.is_sweep_override()
        ]
        if not searched:
            raise ValueError("sweep=optuna has nothing to search: give a setting a range, optim.lr=interval(0.01,0.1).")
        optuna = _optuna()
        space = {key: _distribution(override, optuna.distributions) for key, override in searched.items()}
        ends = {key: _ends(distribution) for key, distribution in space.items()}
        first = {key: values[0] for key, values in ends.items()}
        # A job that fails is one of many; what cannot be composed is a slip of the pen, and costs no hours now.
        self.validate_batch_is_legal(
            [[*fixed, *_overrides(first | {key: value})] for key, values in ends.items() for value in values]
        )
        directory = Path(self.config.hydra.sweep.dir).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        with claimed(directory):
            self._search(self._study(optuna, directory, arguments), space, fixed, directory)

    def _study(self, optuna: Any, directory: Path, arguments: list[str]) -> Any:
        """The study in directory; ValueError if it was begun with other arguments."""
        from optuna.storages.journal import JournalFileBackend

        assert self.config is not None
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(directory / _JOURNAL))),
            study_name="sweep",
            direction="minimize" if self.config.callbacks.mode == "min" else "maximize",
            load_if_exists=True,
        )
        begun = study.user_attrs.get("arguments", arguments)
        if begun != arguments:
            raise ValueError(f"{directory} holds a study of other settings: {shlex.join(begun)}")
        study.set_user_attr("arguments", arguments)
        # One that goes on must not draw the same values once more.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        print(f"The study in {directory} has {len(study.trials)} trials.")
        print(f"If it is interrupted, it goes on by the same command with hydra.sweep.dir={directory}", flush=True)
        return study

    def _search(self, study: Any, space: dict[str, Any], fixed: list[str], directory: Path) -> None:
        """Run the jobs that the study still lacks, those that were interrupted first."""
        assert self.config is not None and self.launcher is not None
        from optuna.trial import TrialState

        kept = study.user_attrs
        jobs = [JobResult(**kept[_job(trial)]) for trial in study.trials if _job(trial) in kept]
        begun = [trial for trial in study.trials if _job(trial) not in kept and trial.params.keys() == space.keys()]
        multirun.recall(jobs, self.config.callbacks.monitor, self.config.callbacks.mode)
        for _ in range(self.n_trials - len(jobs)):
            interrupted = bool(begun)
            trial = begun.pop(0) if interrupted else study.ask(space)
            overrides = [*fixed, *_overrides(trial.params)]
            if interrupted:
                overrides = _taken_up(directory / str(trial.number), overrides)
            [job] = self.launcher.launch([[*overrides, f"hydra.sweep.subdir={trial.number}"]], trial.number)
            value = job.return_value
            measured = {"values": value} if value is not None and isfinite(value) else {"state": TrialState.FAIL}
            # A kill between these two has the job, which is done, looked at once more.
            study.tell(trial.number, **measured, skip_if_finished=True)
            study.set_user_attr(_job(trial), asdict(multirun.newest()))


ConfigStore.instance().store(group="hydra/sweeper", name="sprig_optuna", node=OptunaConfig)


def _optuna() -> Any:
    """Optuna itself, which is imported only where it is asked for."""
    try:
        import optuna
    except ImportError:
        raise ValueError("sweep=optuna needs a package more: pip install '.[optuna]' in Sprig's folder") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _job(trial: Any) -> str:
    """The name under which a study keeps what the job of a trial came to."""
    return f"job {trial.number}"


def _taken_up(directory: Path, overrides: list[str]) -> list[str]:
    """The overrides with which the interrupted job of directory goes on where it was, or begins anew.

    ValueError if it still goes on in another process, as one may that has yet to notice that its sweep was killed.
    """
    if directory.is_dir():
        with claimed(directory):
            if has_state(directory):
                return going_on(directory, [*overrides, f"resume={quote(str(directory))}"])
            for name in ("trace.json", "metrics.csv", "wandb/run-id"):  # else they would be taken for its own
                (directory / name).unlink(missing_ok=True)
    return overrides


def _overrides(values: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in values.items()]


def _ends(distribution: Any) -> list[Any]:
    """All choices, or the lowest and the highest value."""
    return list(getattr(distribution, "choices", None) or (distribution.low, distribution.high))


def _distribution(override: Override, distributions: Any) -> Any:
    """What Optuna draws from: a,b and choice(a,b) as they are, range(a,b,step) without b, interval(a,b) with both."""
    if override.is_choice_sweep():
        return distributions.CategoricalDistribution(list(override.sweep_string_iterator()))
    sweep = override.value()
    log = isinstance(sweep, IntervalSweep | RangeSweep) and "log" in sweep.tags
    if isinstance(sweep, IntervalSweep):
        return distributions.FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=log)
    values = [float(str(value)) for value in override.sweep_iterator()]
    if len(values) == 1:
        return distributions.CategoricalDistribution(list(map(str, override.sweep_iterator())))
    whole, step = all(value == int(value) for value in values), values[1] - values[0]
    if isinstance(sweep, RangeSweep) and log and not (whole and step == 1):
        raise ValueError(
            f"{override.input_line}: a range has steps, and log has none: "
            f"tag(log, interval({sweep.start}, {sweep.stop}))."
        )
    if whole:
        return distributions.IntDistribution(int(values[0]), int(values[-1]), log=log, step=int(step))
    return distributions.FloatDistribution(values[0], values[-1], step=step)
