import json
import math

import pytest

from sprig.trace.records import Epoch, Run, Stage, Trace, read_earlier


def trace() -> Trace:
    epoch = Epoch(epoch=1, step=9, tokens=70, seconds=1.5, metrics={"val/loss": 2.5, "val/runs": math.nan})
    stages = [Stage("Raw code dataset", "source x", "collect", "3 documents", sample="def f(): pass")]
    return Trace(Run("x/1", "python src/train.py", "2026-01-01T00:00:00+00:00"), stages, {"parameters": 5}, [epoch])


def test_the_file_has_the_parts_of_the_contract_and_null_for_what_was_not_recorded(tmp_path):
    trace().save(tmp_path / "trace.json")
    saved = json.loads((tmp_path / "trace.json").read_text())
    assert list(saved) == ["schema", "run", "stages", "model", "epochs", "final", "generation", "data", "training"]
    assert saved["run"]["seconds"] is None and saved["stages"][0]["seconds"] is None
    assert saved["epochs"][0]["metrics"] == {"val/loss": 2.5, "val/runs": None}
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


def test_run_and_epochs_are_read_back_as_they_were(tmp_path):
    saved = trace()
    saved.epochs[0].metrics["val/runs"] = 0.5
    saved.save(tmp_path / "trace.json")
    assert read_earlier(tmp_path / "trace.json") == (saved.run, saved.epochs)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        '{"schema": 99, "epochs": []}',
        '{"schema": 1, "run": {"id": "x", "command": "x", "started": "x"}, "epochs": [{"a": 1}]}',
        '{"schema": 1, "run": {"id": "x", "command": "x", "started": "x", "seconds": "9"}, "epochs": []}',
        *(
            '{"schema": 1, "run": {"id": "x", "command": "x", "started": "x"}, "epochs": [{"epoch": 1, "step": 1, '
            f'"tokens": 1, {figures}}}]}}'
            for figures in ('"seconds": 1, "metrics": {"val/loss": "2"}', '"seconds": "1", "metrics": {}')
        ),
        "[" * 100_000,
    ],
)
def test_a_damaged_trace_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "trace.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="is no trace to go on with") as error:
        read_earlier(path)
    assert "\n" not in str(error.value)
