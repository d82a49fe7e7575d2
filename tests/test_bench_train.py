"""scripts/bench_train.py: what is compared with Sprig, and how."""

import math
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer

SCRIPTS = Path(__file__).parents[1] / "scripts"
SHAPE = ModelConfig(
    vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=32, tie_word_embeddings=True,
)  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench_train

    return bench_train


def test_the_trainers_model_has_as_many_parameters_as_sprigs(bench):
    """LitGPT's is counted where it is raced: pip cannot install it beside today's transformers."""
    import peers

    there = peers.qwen3(SHAPE)
    assert sum(weights.numel() for weights in there.parameters()) == Transformer(SHAPE).num_parameters


def test_when_a_target_is_reached_is_read_off_between_two_runs(bench):
    ladder = {64.0: 1.5, 4.0: 3.0, 16.0: 2.0}
    assert bench.reached_after(ladder, 2.5) == pytest.approx(8)  # half of the way, in the log of the time
    assert bench.reached_after(ladder, 1.5) == pytest.approx(64)
    assert bench.reached_after(ladder, 3.5) == 4 and bench.reached_after(ladder, 1.4) == math.inf


def test_a_pace_leaves_out_the_steps_that_warm_up_and_those_are_what_is_lost(bench):
    import race

    seconds = [0.0, 9.0, 9.5, 10.0, 10.5, 11.0, 11.5, 12.5]  # the last step took twice as long as the one before
    long = race.Race(None, SHAPE, batch_size=4, steps=8, seconds=None, ends=seconds)
    assert long.pace == pytest.approx(4 * 32 / 0.5)
    assert long.lost == pytest.approx(10 - 3 * 0.5)
    assert not long.over and race.Race(None, SHAPE, 4, 7, None, ends=seconds).over


@pytest.mark.slow
def test_paces_of_all_that_can_be_installed_are_measured_in_one_run(tmp_path):
    names = ["sprig", "bare", "trainer"]
    command = [sys.executable, str(SCRIPTS / "bench_train.py"), "--model", "tiny", "--contenders", ",".join(names)]
    done = subprocess.run(
        [*command, "--rounds", "1", "--steps", "5", "--batch-size", "4", "--seq-len", "64"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\S+) +([\d,]+) tokens/s +\d+% of that  sprig / (\S+): ([\d.]+)$", done.stdout, re.MULTILINE)
    assert [(name, other) for name, _, other, _ in found] == [(name, name) for name in names]
    paces = {name: int(pace.replace(",", "")) for name, pace, *_ in found}
    for name, _, _, ratio in found:
        assert float(ratio) == pytest.approx(paces["sprig"] / paces[name], abs=0.01)
