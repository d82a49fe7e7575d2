"""Runs of two processes on the processor, which talk over gloo."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cli.command import ROOT, children, sprig
from sprig.checkpoint import load, load_from_elsewhere
from their_models import write_model
from wandb_file import records

pytestmark = pytest.mark.slow

# Functions of different lengths, one a row; the last batch of an epoch is not full. In double precision, rounding
# in another order does not grow to where it can be seen.
SETTINGS = [
    "model=tiny", "data.count=300", "data.vocab_size=400", "data.batch_size=14", "trainer.max_epochs=2", "optim=adamw",
    "optim.lr=0.003", "trainer.precision=64-true", "trainer.log_every_n_steps=1", "trainer.accelerator=cpu",
    "callbacks.held_out_headers=8", "logger=csv",
]  # fmt: skip
TWO = ["trainer=ddp", "trainer.devices=2"]
LONG = [*SETTINGS, "trainer.max_epochs=100000", "prompts=[]", "callbacks.held_out_headers=0"]


def steps(run: Path) -> list[float]:
    """The loss of each step."""
    with (run / "metrics.csv").open() as file:
        return [float(row["train/step_loss"]) for row in csv.DictReader(file) if row["train/step_loss"]]


def epochs(run: Path) -> list[dict]:
    return json.loads((run / "trace.json").read_text())["epochs"]


def same(one: Path, other: Path) -> bool:
    return steps(other) == pytest.approx(steps(one), abs=1e-5) and all(
        there["metrics"] == pytest.approx(here["metrics"], abs=1e-5, rel=1e-5)
        and (there["step"], there["tokens"]) == (here["step"], here["tokens"])
        for here, there in zip(epochs(one), epochs(other), strict=True)
    )


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """A run without an end, in the middle of its training."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), *arguments],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    for line in process.stdout:
        if "epoch 2/" in line:
            break
    return process


def gone(process: int) -> bool:
    """Whether it ends; a zombie of the tests' own container counts as ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the same run by one process, by two, and by two that torchrun started."""
    place = tmp_path_factory.mktemp("processes")
    for name, arguments in (("one", []), ("two", TWO)):
        done = sprig("train", *SETTINGS, *arguments, f"output_dir={name}", "cache_dir=cache", cwd=place)
        assert done.returncode == 0 and not done.stderr, done.stderr
        (place / f"{name}.txt").write_text(done.stdout)
    return place


def test_the_same_batches_give_the_same_losses_and_figures_whatever_the_number_of_processes(place):
    one, two = place / "one" / "latest", place / "two" / "latest"
    assert len(steps(one)) == 2 * 19
    assert same(one, two)


def test_two_processes_start_from_the_weights_of_others_as_one_does(tmp_path):
    write_model(tmp_path / "theirs", "qwen3")
    given = load_from_elsewhere(str(tmp_path / "theirs")).transformer.state_dict()
    settings = [setting for setting in SETTINGS if not setting.startswith(("model=", "data.vocab_size=", "optim"))]
    start = ["model.init_from=theirs", "trainer.max_epochs=1", "optim.lr=1e-12", "cache_dir=cache"]  # learns nothing
    for name, arguments in (("one", []), ("two", TWO)):
        done = sprig("train", *settings, *arguments, *start, f"output_dir={name}", cwd=tmp_path)
        assert done.returncode == 0 and not done.stderr, done.stderr
        trained = load(tmp_path / name / "latest" / "checkpoints" / "last").transformer.state_dict()
        assert all(torch.allclose(trained[key], weights, atol=1e-7) for key, weights in given.items())
    assert same(tmp_path / "one" / "latest", tmp_path / "two" / "latest")


def test_two_processes_leave_one_directory_and_one_output(place):
    [run] = (place / "two" / "snippets").iterdir()
    assert json.loads((run / "trace.json").read_text())["run"]["command"].endswith("output_dir=two cache_dir=cache")
    lines = {name: (place / f"{name}.txt").read_text().splitlines() for name in ("one", "two")}
    assert [line[:4] for line in lines["one"] if line[1:3] == "/6"] == [f"{number}/6 " for number in range(1, 7)]
    assert len([line for line in lines["two"] if line[1:3] == "/6"]) == 6
    assert len([line for line in lines["two"] if line.startswith("epoch 2/2") and "val loss" in line]) == 1


def test_two_processes_are_one_run_in_wandb(tmp_path):
    run = ["logger=wandb", "logger.offline=true", "trainer.max_epochs=1", "prompts=[]", "callbacks.held_out_headers=0"]
    done = sprig("train", *SETTINGS, *TWO, *run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [file] = tmp_path.rglob("*.wandb")
    [kept] = tmp_path.rglob("run-id")
    assert file.name == f"run-{kept.read_text()}.wandb" and file.is_relative_to(
        (tmp_path / "outputs" / "latest").resolve()
    )
    rows = [{item.nested_key[0]: item.value_json for item in record.history.item} for record in records(file)]
    assert [int(row["trainer/global_step"]) for row in rows if "train/step_loss" in row] == list(range(19))


def test_slurm_starts_the_processes_as_well(place):
    """srun itself is not needed: it starts every process with these variables."""
    slurm = {"SLURM_JOB_ID": str(20_000 + os.getpid() % 9_000), "SLURM_NTASKS": "2",
             "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0",
             "SLURM_NODELIST": "127.0.0.1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, str(ROOT / "src" / "train.py"), *SETTINGS, "trainer=ddp", "output_dir=slurm"]
    processes = [
        subprocess.Popen(
            [*command, "cache_dir=cache"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | slurm | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)},
        )
        for number in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "1/6 Raw code dataset" in outputs[0][0] and not outputs[1][0]
    [run] = (place / "slurm" / "snippets").iterdir()
    assert same(place / "one" / "latest", run)


@pytest.mark.parametrize("ema", ["null", "0.9"])
def test_sharded_weights_learn_the_same_and_can_be_gone_on_with_by_one_process(ema, tmp_path):
    # Sharded, there is no double precision; with small steps rounding does not grow to where it can be seen.
    single = [*SETTINGS, "trainer.precision=32-true", "optim.lr=0.0003", f"optim.ema={ema}", "cache_dir=cache"]
    for name, arguments in (("one", []), ("two", ["trainer=fsdp", "trainer.devices=2"])):
        done = sprig("train", *single, *arguments, f"output_dir={name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    one, two = ((tmp_path / name / "latest").resolve() for name in ("one", "two"))
    assert same(one, two)
    for run, arguments in ((one, []), (two, ["trainer=cpu", "trainer.devices=1"])):
        done = sprig("train", f"resume={run}", "trainer.max_epochs=3", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert same(one, two) and len(epochs(two)) == 3


def test_torchrun_starts_the_processes_as_well(place):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [*SETTINGS, "trainer=ddp", "output_dir=torchrun", "cache_dir=cache"]
    done = subprocess.run(
        [*command, str(ROOT / "src" / "train.py"), *arguments],
        cwd=place, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [run] = (place / "torchrun" / "snippets").iterdir()
    assert same(place / "one" / "latest", run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_after_the_same_step_and_one_process_goes_on_as_two_would(number, tmp_path):
    process = started(*LONG, *TWO, cwd=tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and errors.count("everything is saved") == 1 and "Traceback" not in errors
    last = int(errors.split(f"Stopped by {number.name} after step ")[1].split(";")[0]) // 19 + 2
    [two] = (tmp_path / "outputs" / "snippets").iterdir()
    one = shutil.copytree(two, tmp_path / "one")
    for run, arguments in ((two, []), (one, ["trainer=cpu", "trainer.devices=1"])):
        done = sprig("train", f"resume={run}", f"trainer.max_epochs={last}", *arguments, cwd=tmp_path)
        assert done.returncode == 0 and f"epoch {last}/{last}" in done.stdout, done.stderr
    assert same(one, two)
    assert [epoch["tokens"] for epoch in epochs(two)] == [epochs(two)[0]["tokens"] * (n + 1) for n in range(last)]


@pytest.mark.parametrize("number", [0, 1])
def test_a_signal_to_one_process_alone_stops_all_with_a_state_on_the_disk(number, tmp_path):
    process = started(*LONG, *TWO, cwd=tmp_path)
    os.kill(children(process)[number], signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.count("everything is saved") == 1 and "Traceback" not in errors
    step = errors.split("Stopped by SIGTERM after step ")[1].split(";")[0]
    assert (tmp_path / "outputs" / "latest" / "checkpoints" / "states" / f"step-{step}" / "state.ckpt").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_process_ends_the_run_with_a_sentence(number, tmp_path):
    process = started(*LONG, *TWO, cwd=tmp_path)
    os.kill(children(process)[1], number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"process 1 of 2 was ended by {number.name}" in errors and "Traceback" not in errors
    assert ("Lack of memory" in errors) == (number == signal.SIGKILL)  # what the system kills for it is not asked


def test_processes_end_with_the_one_that_started_them(tmp_path):
    process = started(*LONG, *TWO, cwd=tmp_path)
    others = children(process)
    process.kill()
    process.communicate(timeout=60)  # its pipes are theirs too: it returns when they have ended
    deadline = time.monotonic() + 30  # a process closes its pipes a moment before it is gone
    while not all(gone(other) for other in others) and time.monotonic() < deadline:
        os.sched_yield()
    assert len(others) == 2 and all(gone(other) for other in others)
    [*_, state] = (tmp_path / "outputs" / "latest" / "checkpoints" / "states").glob("step-*/state.ckpt")
    assert state.is_file()


def test_what_the_user_did_wrong_is_said_once(tmp_path):
    for wrong, message in (("data.vocab_size=100", "data.vocab_size=100 is too small"), ("optim.lr=0", "above 0")):
        done = sprig("train", *SETTINGS, *TWO, wrong, cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.count(message) == 1 and done.stderr.count("\n") <= 2
    assert not list(tmp_path.glob("outputs/snippets/*"))


def test_each_job_of_a_multirun_has_processes_of_its_own(tmp_path):
    done = sprig("train", "-m", *SETTINGS, *TWO, "data.vocab_size=100,300,400", cwd=tmp_path)
    assert done.returncode == 1
    assert "3 jobs, ranked by val/loss" in done.stdout and "job 0 failed: " in done.stdout
    [sweep] = (tmp_path / "outputs" / "snippets").iterdir()
    assert [(sweep / job / "checkpoints" / "best").is_dir() for job in "012"] == [False, True, True]
