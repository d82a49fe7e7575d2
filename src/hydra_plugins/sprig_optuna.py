"""sweep=optuna: a sweeper of Hydra's that lets Optuna choose each job's values by what the jobs before came to.

The plugin that there is (hydra-optuna-sweeper) wants, in its release for this Hydra, an Optuna of before 2022.
The study is a journal in the sweep's directory: a sweep that was interrupted goes on with what it knows. Hydra finds
this module by itself, as all that stand in a folder of this name.
"""

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
        directory = Path(self.config.hydra.sweep.dir)
        study, optuna = self._study(directory, self.config.callbacks.mode)
        if study.user_attrs.get("fixed", fixed) != fixed:
            raise ValueError(f"{directory} holds a study of other settings: {' '.join(study.user_attrs['fixed'])}.")
        study.set_user_attr("fixed", fixed)
        space = {key: _distribution(override, optuna.distributions) for key, override in searched.items()}
        done = [trial.user_attrs["job"] for trial in study.trials if "job" in trial.user_attrs]
        multirun.recall(JobResult(**job) for job in done)
        for _ in range(self.n_trials - len(done)):
            trial = study.ask(space)
            values = [f"{key}={value}" for key, value in trial.params.items()]
            self.validate_batch_is_legal([[*fixed, *values]])
            [job] = self.launcher.launch([[*fixed, *values]], initial_job_idx=trial.number)
            trial.set_user_attr("job", asdict(multirun.newest()))
            value = job.return_value
            if value is not None and isfinite(value):
                study.tell(trial, value)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _study(self, directory: Path, mode: str) -> tuple[Any, Any]:
        """The study in directory, and Optuna itself, which is imported only here."""
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError:
            raise ValueError("sweep=optuna needs a package more: pip install 'sprig[optuna]'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directory.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(directory / _JOURNAL))),
            study_name="sweep",
            direction="minimize" if mode == "min" else "maximize",
            load_if_exists=True,
        )
        # One that goes on must not draw the same values once more.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):  # interrupted: it is run anew
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
        print(f"The study in {directory} has {len(study.trials)} trials.")
        print(f"If it is interrupted, it goes on by the same command with hydra.sweep.dir={directory}", flush=True)
        return study, optuna


ConfigStore.instance().store(group="hydra/sweeper", name="sprig_optuna", node=OptunaConfig)


def _distribution(override: Override, distributions: Any) -> Any:
    """What Optuna draws from: a,b and choice(a,b) as they are, range(a,b,step) without b, interval(a,b) with both."""
    if override.is_choice_sweep():
        return distributions.CategoricalDistribution(list(override.sweep_string_iterator()))
    sweep = override.value()
    log = isinstance(sweep, IntervalSweep | RangeSweep) and "log" in sweep.tags
    if isinstance(sweep, IntervalSweep):
        return distributions.FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=log)
    values = [float(str(value)) for value in override.sweep_iterator()]
    if all(value == int(value) for value in values):
        step = 1 if log or len(values) < 2 else int(values[1] - values[0])
        return distributions.IntDistribution(int(values[0]), int(values[-1]), log=log, step=step)
    return distributions.FloatDistribution(values[0], values[-1], step=values[1] - values[0])
