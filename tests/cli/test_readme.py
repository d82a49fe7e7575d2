import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from cli.command import ROOT, SHORT, sprig
from their_models import write_model

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
DEFAULT = re.search(r"runs `(python src/train\.py [^`]+)`", README)[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder to work in, whose owner has some code in ~/code."""
    place = tmp_path_factory.mktemp("readme")
    code = place / "home" / "code"
    shutil.copytree(ROOT / "src" / "sprig", code / "py")
    for number in range(40):
        suffix = "js" if number % 2 else "ts"
        (code / f"page{number}.{suffix}").write_text(
            "".join(f"function page{number}_{k}(a, b) {{\n  return a + b * {number};\n}}\n" for k in range(9))
        )
    project = place / "home" / "project"
    shutil.copytree(ROOT / "src" / "sprig", project)
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(project), *command], check=True)
    write_model(place / "home" / "Qwen2.5-Coder-0.5B", "qwen2", max_position_embeddings=256)
    contents = [path.read_text() for path in sorted((ROOT / "src" / "sprig").rglob("*.py"))]
    with gzip.open(place / "home" / "rows.jsonl.gz", "wt") as rows:
        rows.writelines(json.dumps({"content": content}) + "\n" for content in contents)
    (place / "home" / "dataset").mkdir()
    for table in ("rows.parquet", "dataset/train.parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"content": contents}), place / "home" / table)
    return place


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """The command as it stands in the README, made short where it trains."""
    python, script, *arguments = shlex.split(command)
    assert python == "python"
    if script.startswith("scripts/"):
        return subprocess.run(
            [sys.executable, ROOT / script, *arguments], cwd=place, capture_output=True, text=True, timeout=600
        )
    if script == "src/train.py" and "resume=last" not in arguments:
        arguments += SHORT
        smaller = [argument for argument in arguments if argument.startswith("data=") and argument != "data=stdlib"]
        if smaller and "model.init_from" not in command:
            arguments.append("data.vocab_size=300")
    return sprig(Path(script).stem, *arguments, cwd=place, home=place / "home")


def test_the_default_run_leaves_what_the_readme_says(place):
    done = run(DEFAULT, place)
    assert done.returncode == 0, done.stderr
    assert [f"{number}/6 " in done.stdout for number in range(1, 7)] == [True] * 6
    latest = place / "outputs" / "latest"
    trace = json.loads((latest / "trace.json").read_text())
    assert [stage["name"] for stage in trace["stages"]] == [
        "Raw code dataset", "Preprocessing", "Feature engineering", "Model training", "Validation", "Code generation",
    ]  # fmt: skip
    assert all(stage["sample"] for stage in trace["stages"])
    assert [epoch["epoch"] for epoch in trace["epochs"]] == [1, 2, 3, 4, 5]
    assert {"val/padded_loss", "val/loss", "val/runs", "train/loss"} <= trace["epochs"][-1]["metrics"].keys()
    for name in (
        ".hydra/config.yaml",
        "metrics.csv",
        "checkpoints/best/manifest.json",
        "checkpoints/states",
        "wandb",
    ):
        assert (latest / name).exists()
    assert not [path for path in place.rglob("*=*") if "home" not in path.relative_to(place).parts]


# Those that train on real code prepare it first, and take three times as long as the others.
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            command, marks=pytest.mark.slow if re.search(r"train\.py .*data=", command) else [], id=str(number)
        )
        for number, command in enumerate(COMMANDS)
    ],
)
def test_every_command_of_the_readme_runs(command, place):
    done = run(command, place)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    if "format=json" in command:
        [line] = done.stdout.splitlines()
        result = json.loads(line)
        assert result["prompt"] == "def add(a, b):"
        assert {"completion", "token_ids", "stop_reason", "tokens_per_second"} <= result.keys()
    if " -m " in command:
        assert "4 jobs, ranked by val/loss" in done.stdout
        [sweep] = (place / "outputs" / "snippets").glob("*/3")
        assert all(list((sweep.parent / str(job)).glob("wandb/offline-run-*")) for job in range(4))


def test_the_readme_shows_the_default_run_that_make_train_makes():
    made = subprocess.run(["make", "-n", "train"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert DEFAULT.removeprefix("python ") in made
