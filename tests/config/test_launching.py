import pytest

from sprig.config.launching import prepare, processes_to_launch, with_processes
from sprig.config.ranks import rank, started
from sprig.training.config import TrainerConfig

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2", "LOCAL_RANK": "1"}
SLURM = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}


@pytest.fixture
def start(monkeypatch):
    """Makes this process look like one that was started with some variables."""

    def start(variables: dict[str, str]) -> None:
        for name in (*TORCHRUN, *SLURM, "SLURM_JOB_NAME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    start({})
    return start


@pytest.mark.parametrize("variables", [TORCHRUN, SLURM])
def test_processes_that_others_have_started_are_taken_as_they_are(variables, start):
    start(variables)
    assert (rank(), started()) == (3, 4)
    config = with_processes(TrainerConfig(devices=-1))
    assert (config.devices, config.num_nodes) == (2, 2)


@pytest.mark.parametrize("variables", [{}, SLURM | {"SLURM_JOB_NAME": "interactive"}])
def test_a_process_that_nobody_has_started_is_the_only_one(variables, start):
    start(variables)
    assert (rank(), started()) == (0, 1)


def test_other_numbers_than_were_started_are_refused(start):
    start(TORCHRUN)
    with pytest.raises(ValueError, match="4 processes were started, 2 a machine"):
        with_processes(TrainerConfig())
    start({})
    with pytest.raises(ValueError, match="started by torchrun or srun"):
        with_processes(TrainerConfig(num_nodes=2))


def test_processes_are_launched_where_nobody_has_started_them(start, settings):
    assert processes_to_launch(settings()) == 0
    assert processes_to_launch(settings("trainer.devices=3")) == 3
    assert processes_to_launch(settings("trainer=ddp", "trainer.accelerator=cpu")) == 0
    start(TORCHRUN)
    assert processes_to_launch(settings("trainer.devices=3")) == 0


def test_only_rank_0_makes_a_directory_for_the_run(start):
    argv = ["train.py", "model=tiny"]
    start(TORCHRUN | {"RANK": "0"})
    assert prepare("train", argv) == argv
    start(TORCHRUN)
    assert prepare("train", argv) == ["train.py", "hydra.run.dir=.", "hydra.output_subdir=null", "model=tiny"]


def test_a_sweep_of_one_run_is_refused():
    with pytest.raises(ValueError, match=r"^sweep=optuna is for several runs, and without -m there is one: add -m\.$"):
        prepare("train", ["train.py", "sweep=optuna", "seed=1"])
    assert prepare("train", ["train.py", "seed=1", "-m", "sweep=optuna"]) == [
        "train.py",
        "seed=1",
        "sweep=optuna",
        "-m",
    ]


def test_a_multirun_is_not_started_by_torchrun(start):
    start(TORCHRUN)
    with pytest.raises(ValueError, match="leave out torchrun or srun"):
        prepare("train", ["train.py", "-m", "seed=0,1"])
