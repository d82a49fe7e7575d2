import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from cli.command import sprig
from sprig import checkpoint
from sprig.config.batch_size import settle
from sprig.config.checks import check_data, check_train
from sprig.config.job import Job
from sprig.config.training import train
from sprig.data.config import DataConfig
from sprig.training import largest_batch


@pytest.fixture
def any_steps(monkeypatch):
    """However few steps there are in an epoch."""
    monkeypatch.setattr("sprig.config.batch_size._STEPS", 1)


def trained(settings, directory: Path, rows: str | int) -> dict:
    """The trace of a run with so many rows in a batch."""
    directory.mkdir()
    train(settings(f"data.batch_size={rows}", "model.attention_dropout=0.1"), directory)
    return json.loads((directory / "trace.json").read_text())


def test_a_run_with_auto_is_bit_by_bit_the_run_with_the_number_it_comes_to(
    settings, tmp_path, monkeypatch, capsys, any_steps
):
    monkeypatch.setattr(largest_batch, "most_tokens", lambda _: 8 * 50)
    monkeypatch.setattr("sprig.config.batch_size.most_tokens", largest_batch.most_tokens)
    found, given = (trained(settings, tmp_path / str(rows), rows) for rows in ("auto", 8))
    assert "data.batch_size=auto is 8 rows of 50 tokens: more would gain nothing" in capsys.readouterr().out
    assert found["training"]["batch_size"] == given["training"]["batch_size"] == 8
    weights = [tmp_path / rows / "checkpoints" / "last" / "model.safetensors" for rows in ("auto", "8")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert found["epochs"][0]["metrics"] == given["epochs"][0]["metrics"]
    assert checkpoint.load(weights[0].parent).facts["data"]["batch_size"] == 8


def test_of_few_rows_a_batch_has_so_many_that_an_epoch_has_steps_to_learn_in(settings, tmp_path, capsys):
    trace = trained(settings, tmp_path / "run", "auto")
    rows = trace["stages"][2]["counts"]["training rows"]
    assert trace["training"]["batch_size"] == 2 and 64 <= rows < 128  # 32 steps of 2, not of 4
    assert re.search(rf"auto is 2 rows of 50 tokens: of {rows}, for 32 steps", capsys.readouterr().out)


def test_less_memory_is_a_smaller_batch_and_too_little_is_said_in_two_lines(
    settings, tmp_path, monkeypatch, capsys, any_steps
):
    def with_memory(name: str, size: int) -> int:
        monkeypatch.setattr(largest_batch, "available_memory", lambda: size)
        return trained(settings, tmp_path / name, "auto")["training"]["batch_size"]

    sizes = [with_memory("little", 14 << 20), with_memory("more", 28 << 20)]
    assert 1 <= sizes[0] < sizes[1] < 64
    assert "twice as many do not fit into the memory" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"Not one row of data\.seq_len=50 fits") as error:
        with_memory("none", 1 << 20)
    assert str(error.value).count("\n") == 1 and "data.seq_len=25" in str(error.value)


@pytest.mark.parametrize("wrong", ["large", None, 3.5, True])
def test_what_is_neither_a_number_nor_auto_is_refused(wrong):
    with pytest.raises(ValueError, match=r"data\.batch_size=.* must be a number of rows, or auto"):
        check_data(DataConfig(batch_size=wrong))


def test_sharded_weights_need_a_number(settings):
    with pytest.raises(ValueError, match=r"set data\.batch_size to a number"):
        check_train(settings("data.batch_size=auto", "trainer=fsdp"))


class Ready(Exception):
    """Stands for the beginning of training."""


def ready(settings, directory: Path, monkeypatch) -> Job:
    """A job that is about to be trained, with data.batch_size=auto still to be settled."""

    def fit(job: Job) -> None:
        raise Ready(job)

    monkeypatch.setattr("sprig.config.training.fit", fit)
    with pytest.raises(Ready) as stop:
        train(settings("data.batch_size=4", "model.attention_dropout=0.1"), directory)
    [job] = stop.value.args
    job.settings.data.batch_size = "auto"
    return job


class Together:
    """Stands for two processes, the other of which has less memory."""

    rank, count = 0, 2

    def gather(self, value: int) -> list[int]:
        return [value, value // 4]


def test_several_processes_take_what_fits_in_each_of_them(settings, tmp_path, monkeypatch, any_steps):
    job = ready(settings, tmp_path, monkeypatch)
    job.processes = Together()
    settle(job)
    assert job.settings.data.batch_size == 2 * (32 // 4)


def test_trials_leave_the_random_numbers_and_the_weights_of_the_run_alone(settings, tmp_path, monkeypatch):
    job = ready(settings, tmp_path, monkeypatch)
    state, weights = torch.get_rng_state(), [each.clone() for each in job.model.parameters()]
    settle(job)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(*pair) for pair in zip(job.model.parameters(), weights, strict=True))
    assert all(each.grad is None for each in job.model.parameters())


@pytest.mark.slow  # four processes, one after the other
def test_a_run_goes_on_and_is_evaluated_with_the_number_it_has_found(tmp_path):
    few = ["model=tiny", "data.count=120", "data.vocab_size=300", "logger=csv", "prompts=[]", "trainer.max_epochs=1"]
    done = sprig("train", *few, "data.batch_size=auto", cwd=tmp_path)
    assert done.returncode == 0 and "data.batch_size=auto is 2 rows" in done.stdout, done.stderr
    kept = (tmp_path / "outputs" / "latest" / ".hydra").resolve()
    assert yaml.safe_load((kept / "config.yaml").read_text())["data"]["batch_size"] == 2
    assert "data.batch_size=2" in yaml.safe_load((kept / "overrides.yaml").read_text())
    for epochs, again in ((2, []), (3, ["data.batch_size=auto"])):
        done = sprig("train", "resume=last", f"trainer.max_epochs={epochs}", *again, cwd=tmp_path)
        assert done.returncode == 0 and "batch_size=auto" not in done.stdout, done.stderr
    trace = json.loads((kept.parent / "trace.json").read_text())
    steps = -(-trace["stages"][2]["counts"]["training rows"] // 2)
    assert [epoch["step"] for epoch in trace["epochs"]] == [steps, 2 * steps, 3 * steps]
    done = sprig("evaluate", "ckpt=last", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_tensors_are_counted_while_they_are_there():
    counted = largest_batch._Counted()
    with counted:
        kept = torch.ones(1000)
        torch.ones(5000).add(1)
        view = kept.view(10, 100)
    assert (counted.now, counted.most) == (4000, 44000)
    del kept, view
    assert counted.now == 0


@pytest.mark.parametrize(
    ("line", "files", "left"),
    [
        ("0::/job/step", {"job/memory.max": "900", "job/memory.stat": "anon 300\nfile 500"}, [600]),
        ("0::/job/step", {"job/memory.max": "max", "job/memory.stat": "anon 300"}, []),
        ("4:memory:/a", {"memory/memory.limit_in_bytes": "700", "memory/memory.stat": "total_rss 100"}, [600]),
        ("5:cpuset:/a", {}, []),
    ],
)
def test_the_limits_of_control_groups_count_and_cached_files_do_not(line, files, left, tmp_path):
    (tmp_path / "cgroup").write_text(line + "\n")
    for name, content in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(content)
    assert largest_batch._left_in_groups(tmp_path / "cgroup", tmp_path / "mounted") == left


class OnGpu:
    """Stands for trials on a GPU of 100 bytes, 90 of them free, where a row takes 3 and 32 rows no longer fit."""

    device = torch.device("cuda")
    reserved = 0

    def start(self) -> None:
        self.step(1)

    def step(self, rows: int) -> None:
        if 3 * rows > 90:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.reserved = 3 * rows


@pytest.mark.parametrize(("free", "rows"), [(90, 16), (57, 8), (12, 0)])
def test_on_a_gpu_steps_are_tried_until_a_tenth_of_its_memory_is_left(free, rows, monkeypatch):
    trial = OnGpu()
    for name, does in {
        "mem_get_info": lambda _: (free, 100),
        "memory_reserved": lambda _: 0,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda _: None,
        "max_memory_reserved": lambda _: trial.reserved,
    }.items():
        monkeypatch.setattr(torch.cuda, name, does)
    assert largest_batch.largest_batch(trial, 1 << 20) == rows
