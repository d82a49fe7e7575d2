"""Lightning's Trainer and its loggers as this project asks for them."""

import pytest
from lightning.pytorch.plugins.environments import MPIEnvironment, SLURMEnvironment, TorchElasticEnvironment
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sprig.config.building import build_loggers, build_trainer
from sprig.config.schema import LoggerConfig
from sprig.training.config import TrainerConfig

_STARTED_BY_TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "GROUP_RANK": "0",
}  # fmt: skip
_STARTED_BY_SLURM = {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "job", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


def environment(tmp_path):
    trainer = build_trainer(TrainerConfig(accelerator="cpu"), "32-true", [], [], tmp_path)
    return trainer._accelerator_connector.cluster_environment


def test_an_mpi_that_does_not_work_ends_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(MPIEnvironment, "detect", lambda: pytest.fail("MPI was started"))
    environment(tmp_path)


@pytest.mark.parametrize(
    ("variables", "found"), [(_STARTED_BY_TORCHRUN, TorchElasticEnvironment), (_STARTED_BY_SLURM, SLURMEnvironment)]
)
def test_who_has_started_the_processes_is_found_out(variables, found, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place = environment(tmp_path)
    assert isinstance(place, found)
    assert not getattr(place, "auto_requeue", False)  # Lightning would save and requeue the job in its own way


def test_tensorboard_forgets_the_steps_that_are_trained_again(tmp_path):
    for last_step, steps in ((None, range(5)), (3, range(3, 6))):
        [_, logger] = build_loggers(LoggerConfig("tensorboard"), tmp_path, "x", {}, last_step)
        for step in steps:
            logger.log_metrics({"train/step_loss": float(step)}, step)
        logger.finalize("success")
    shown = EventAccumulator(str(tmp_path)).Reload().Scalars("train/step_loss")
    assert [event.step for event in shown] == list(range(6))
