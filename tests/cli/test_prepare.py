import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import ROOT, sprig

SETTINGS = ["data=folder", "data.path=code", "data.vocab_size=300", "data.unit=function", "data.batch_size=4"]


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with 40 files of code, one of them with a mail address, and one that is none."""
    (tmp_path / "code").mkdir()
    for number in range(40):
        lines = [f"def f{number}_{k}(first, second):\n    return first * {number} + second * {k}\n" for k in range(3)]
        (tmp_path / "code" / f"f{number}.py").write_text("\n\n".join(lines))
    (tmp_path / "code" / "mail.py").write_text('def mail():\n    return "jane.doe@" + "x"\n# jane.doe@somewhere.net\n')
    (tmp_path / "code" / "broken.py").write_text("def broken(:\n")
    return tmp_path


def caches(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "outputs" / "cache").iterdir())


def funnel_of(place: Path) -> dict:
    newest = max((place / "outputs" / "prepare").iterdir())
    return json.loads((newest / "trace.json").read_text())["data"]


def test_the_funnel_is_printed_and_kept_and_the_second_time_it_comes_from_the_cache(place):
    first = sprig("prepare", *SETTINGS, "data.near_duplicates=null", cwd=place)
    assert first.returncode == 0, first.stderr
    assert "given by the source" in first.stdout and "left out: not Python 3 syntax" in first.stdout
    funnel = funnel_of(place)
    assert funnel["documents"] == 42 and funnel["dropped"] == {"not Python 3 syntax": 1}
    assert funnel["kept_documents"] == 121 and funnel["tokens"] > 0 and funnel["padding"] < 0.2
    second = sprig("prepare", *SETTINGS, "data.near_duplicates=null", "name=prepare/again", cwd=place)
    assert second.returncode == 0 and "by an earlier run" in second.stdout
    assert len(caches(place)) == 1


@pytest.mark.slow
def test_less_than_a_hundredth_of_the_standard_librarys_rows_is_padding(tmp_path):
    done = sprig("prepare", "data=stdlib", "data.limit=null", "data.fim_rate=0", "data.seq_len=256", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert funnel_of(tmp_path)["padding"] < 0.01 and funnel_of(tmp_path)["tokens"] > 10**6


def test_fewer_rows_than_a_batch_are_shown_and_only_training_refuses_them(tmp_path):
    (tmp_path / "code").mkdir()
    for name, sign in (("a", "+"), ("b", "*"), ("c", "//")):
        (tmp_path / "code" / f"{name}.py").write_text(f"def {name}(x, y):\n    return x {sign} y\n")
    settings = ["data=folder", "data.path=code", "data.vocab_size=300", "data.near_duplicates=null"]
    assert sprig("prepare", *settings, cwd=tmp_path).returncode == 0
    assert funnel_of(tmp_path)["kept_documents"] == 3
    done = sprig("train", *settings, "model=tiny", "prompts=[]", cwd=tmp_path)
    assert done.returncode == 1 and "training rows are fewer than one batch of 16" in done.stderr


def test_filters_are_chosen_by_name_and_a_wrong_name_is_told_the_right_one(place):
    done = sprig("prepare", *SETTINGS, "data.filters=strict", cwd=place)
    assert done.returncode == 1 and "40 under 1 assignments" in done.stderr
    assert sprig("prepare", *SETTINGS, "data.filters=none", cwd=place).returncode == 0
    done = sprig("prepare", *SETTINGS, "data.filters=stric", cwd=place)
    assert done.returncode == 1 and "strict" in done.stderr and done.stderr.count("\n") <= 2


def test_a_threshold_can_be_set_and_a_filter_that_does_not_exist_cannot(place):
    done = sprig("prepare", *SETTINGS, "data.filters.max_line_length=20", cwd=place)
    assert done.returncode == 1 and "line over 20 characters" in done.stderr
    done = sprig("prepare", *SETTINGS, "data.filters=none", "data.filters.min_lines=6", cwd=place)
    assert done.returncode == 0 and "left out: under 6 lines" in done.stdout
    done = sprig("prepare", *SETTINGS, "data.filters.max_line_lenght=20", cwd=place)
    assert done.returncode == 1 and "did you mean max_line_length" in done.stderr


@pytest.mark.slow
def test_two_at_once_prepare_the_same_data_and_disturb_nobody(place):
    command = [sys.executable, str(ROOT / "src" / "prepare.py"), *SETTINGS]
    both = [
        subprocess.Popen(
            [*command, f"name=prepare/{number}"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(2)
    ]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(caches(place)) == 1


@pytest.mark.slow
def test_an_interrupted_preparation_leaves_nothing_half_done(place):
    (place / "code" / "slow.py").write_text(("f(a, b) + g[c]; " * 60 + "\n") * 900)  # takes seconds
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "prepare.py"), *SETTINGS, "data.filters=none"],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list((place / "outputs").glob("cache/.*")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and errors == "Interrupted.\n"
    assert caches(place) == []
    assert sprig("prepare", *SETTINGS, cwd=place).returncode == 0
