import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from cli.command import ROOT, SHORT, sprig
from sprig.config.run_directory import claimed


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("train", ["trainer.max_epoch=3"], "did you mean trainer.max_epochs?"),
        ("train", ["max_epochs=3"], "did you mean trainer.max_epochs?"),
        ("train", ["optim.learning_rate=3"], "optim.learning_rate is no setting"),
        ("train", ["data.path=code"], "data.path belongs to another source of data than the one chosen"),
        ("train", ["model=smal"], "did you mean model=small?"),
        ("train", ["trainer.max_epochs=many"], "'many' of type 'str' could not be converted to Integer"),
        ("train", ["data=folder"], "data=folder needs the folder to read: data.path=~/code"),
        ("train", ["data=folder", "data.path=nowhere"], "nowhere"),
        ("train", ["data.count=[1"], "data.count=[1"),
        ("train", ["data=git", "data.paths=/x"], "data.paths=/x: this setting takes a list: 'data.paths=[/x]'."),
        ("train", ["data.count=99999999"], "data.count=99999999"),
        ("train", ["data.vocab_size=100"], "data.vocab_size=100 is too small"),
        ("train", ["trainer.precision=half"], "trainer.precision=half: Precision 'half' is invalid"),
        ("train", ["trainer.precision=16-mixed", "trainer.accelerator=cpu"], "trainer.precision=16-mixed needs a GPU"),
        ("train", ["trainer.max_time=soon"], "not a valid duration"),
        ("train", ["+foo=1"], "nothing would read it"),
        ("train", ["trainer.accelerator=tpu"], "accelerator='tpu' is not on this machine"),
        ("train", ["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0 must be at least 1"),
        ("train", ["resume=last"], "no state in checkpoints/states to go on from"),
        ("train", ["output_dir=occupied"], "occupied"),
        ("train", ["model.init_from=nowhere", "model=base"], "Leave model out"),
        ("train", ["model.init_from=nowhere"], "model.init_from=nowhere: there is no such directory"),
        ("sample", ["ckpt=last"], "prompt has to be given"),
        ("sample", ["prompt=x"], "ckpt has to be given"),
        ("sample", ["ckpt=last", "prompt=x"], "ckpt=last"),
        ("sample", ["ckpt=occupied", "prompt=x"], "occupied"),
        ("sample", ["ckpt=last", "prompt=x", "top_p=2"], "top_p=2.0 must be in (0, 1]"),
        ("evaluate", ["ckpt=none"], "none"),
        ("evaluate", ["ckpt=last", "data.path=x"], "choose one first, for example data=folder"),
    ],
)
def test_bad_input_gets_two_lines_and_exit_code_1(verb, arguments, message, tmp_path):
    (tmp_path / "occupied").write_text("a file where a folder is wanted")
    done = sprig(verb, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") <= 2 and "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "occupied"]


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("train", ["data.vocab_size=100"], "too small"),
        ("sample", ["ckpt=none", "prompt=x"], "none"),
        ("evaluate", ["ckpt=none"], "none"),
    ],
)
@pytest.mark.parametrize("option", ["true", "traceback"])
def test_debug_shows_the_traceback(verb, arguments, message, option, tmp_path):
    done = sprig(verb, *arguments, f"debug={option}", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" in done.stderr and message in done.stderr


def test_a_file_of_settings_may_ask_for_the_traceback(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndebug: {traceback: true}\n")
    done = sprig("train", f"--config-dir={tmp_path}", "experiment=mine", "data.vocab_size=100", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" in done.stderr and "too small" in done.stderr


def test_a_file_of_settings_that_names_a_model_has_to_say_at_what_pace_to_go_on_from_it(tmp_path):
    """On the command line `optim=fine_tune` is chosen; from a file, a fresh model's pace would undo the weights."""
    (tmp_path / "experiment").mkdir()
    mine = tmp_path / "experiment" / "mine.yaml"
    mine.write_text("# @package _global_\nmodel: {init_from: nowhere}\n")
    chosen = ["train", f"--config-dir={tmp_path}", "experiment=mine"]
    done = sprig(*chosen, cwd=tmp_path)
    assert done.returncode == 1 and "give optim=fine_tune as well" in done.stderr and done.stderr.count("\n") == 1
    for optim in ("fine_tune", "muon"):
        done = sprig(*chosen, f"optim={optim}", cwd=tmp_path)
        assert done.returncode == 1 and "nowhere: there is no such directory" in done.stderr
    mine.write_text("# @package _global_\ndefaults: [override /optim: fine_tune]\nmodel: {init_from: nowhere}\n")
    assert "nowhere: there is no such directory" in sprig(*chosen, cwd=tmp_path).stderr


def test_help_is_there_at_once_and_shows_commands_to_copy(tmp_path):
    def timed(work):
        start = time.perf_counter()
        return work(), time.perf_counter() - start

    sprig("train", "--help", cwd=tmp_path)  # the first time, Python compiles
    ratios = []
    for _ in range(3):
        done, seconds = timed(lambda: sprig("train", "--help", cwd=tmp_path))
        _, of_import = timed(lambda: subprocess.run([sys.executable, "-c", "import hydra"], check=True))
        ratios.append(seconds / of_import)
    assert "python src/train.py model=small trainer.max_epochs=5" in done.stdout
    assert min(ratios) < 6  # of three, since other tests run beside this one; torch alone takes as long


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--cfg", "job", "--resolve"], "max_position_embeddings: 50"),
        (["data=folder", "data.path=~/code", "--cfg", "job"], "path: ~/code"),
        (["--info", "defaults"], "model/small"),
        (["--shell-completion", "install=bash"], "complete -o nospace"),
    ],
)
def test_hydras_own_flags_work(arguments, shown, tmp_path):
    done = sprig("train", *arguments, cwd=tmp_path)
    assert done.returncode == 0 and shown in done.stdout


def test_the_shell_completes_options_and_keys(tmp_path):
    for line, expected in (("model=sm", "model=small"), ("trainer.max_e", "trainer.max_epochs=")):
        typed = f"python {ROOT / 'src' / 'train.py'} {line}"
        environment = {"COMP_LINE": typed, "COMP_POINT": str(len(typed))}
        done = sprig("train", "--shell-completion", "query=bash", cwd=tmp_path, environment=environment)
        assert expected in done.stdout.split()


@pytest.mark.slow
def test_one_failed_job_does_not_end_the_sweep_but_is_told(tmp_path):
    done = sprig(
        "train", "-m", "data.vocab_size=100,300", "data.count=100", "model=tiny", "logger=csv", "trainer.max_epochs=1",
        *SHORT, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "2 jobs, ranked by val/loss" in done.stdout
    assert "job 0 failed: data.vocab_size=100 is too small" in done.stdout
    [sweep] = (tmp_path / "outputs" / "snippets").iterdir()
    assert (sweep / "1" / "checkpoints" / "best").is_dir()


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_output_any_longer_and_a_sample_does_not(tmp_path):
    def unread(verb: str, *arguments: str) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "src" / f"{verb}.py"), *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        return process.wait(timeout=60), errors

    short = ["model=tiny", "data.count=100", "data.vocab_size=300", "logger=csv", "trainer.max_epochs=2", *SHORT]
    code, errors = unread("train", *short)
    assert code == 0 and errors.count("Nobody reads the output any longer") == 1 and errors.count("\n") == 1
    assert (tmp_path / "outputs" / "latest" / "checkpoints" / "best").is_dir()
    # More than a pipe holds, so that not all of it is written when nobody reads any longer.
    code, errors = unread("sample", "ckpt=last", f"prompt={'x' * 40}", "num_samples=2000", "max_new_tokens=1")
    assert (code, errors) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interrupted_run_is_saved_and_can_be_gone_on_with(number, tmp_path):
    arguments = ["model=tiny", "data.count=400", "data.vocab_size=400", "data.batch_size=8", "logger=csv"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), *arguments, "trainer.max_epochs=100000", "prompts=[]"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if "epoch 2/" in line:
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "everything is saved" in errors and "resume=" in errors and "Traceback" not in errors
    run = Path(errors.rsplit("resume=", 1)[1].strip())
    assert list((run / "checkpoints" / "states").glob("step-*/state.ckpt"))
    done = sprig("train", f"resume={run}", "trainer.max_epochs=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 3/3" in done.stdout and "epoch 1/3" not in done.stdout


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_that_is_refused_leaves_the_run_that_was_there_as_it_is(finished: bool, tmp_path: Path) -> None:
    """A second one with the same directory; the first has not come to its checkpoints yet."""
    there = tmp_path / "there"
    (there / ".hydra").mkdir(parents=True)
    (there / "metrics.csv").write_text("step\n")
    if finished:
        (there / ".hydra" / "overrides.yaml").write_text("[]")
        (there / "trace.json").write_text("{}")
    with nullcontext() if finished else claimed(there):
        done = sprig("train", "model=tiny", f"hydra.run.dir={there}", cwd=tmp_path)
    assert done.returncode == 1
    assert ("already holds a run" if finished else "by another process") in done.stderr
    assert (there / "metrics.csv").read_text() == "step\n"
    if finished:
        assert (there / ".hydra" / "overrides.yaml").read_text() == "[]"
