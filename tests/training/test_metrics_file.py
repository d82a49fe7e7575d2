import csv
import resource

import pytest

from sprig.training.metrics_file import MetricsFile


def rows_of(path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


def written(path, steps, **more) -> MetricsFile:
    logger = MetricsFile(path)
    for step in steps:
        logger.log_metrics({"loss": step / 2, **more}, step)
    logger.save()
    return logger


def test_rows_are_appended_and_a_new_column_is_added_to_all(tmp_path):
    logger = written(tmp_path / "metrics.csv", range(3))
    logger.log_metrics({"val/loss": 9.0}, 3)
    logger.finalize("success")
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "loss,step,val/loss", "0.0,0,", "0.5,1,", "1.0,2,", ",3,9.0",
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 3, 4])
def test_a_run_that_is_gone_on_with_keeps_the_rows_of_its_state_and_no_others(cut, tmp_path):
    path = tmp_path / "metrics.csv"
    written(path, range(6))
    path.write_bytes(path.read_bytes()[: -cut or None])
    logger = MetricsFile(path, last_step=3)
    logger.log_metrics({"loss": 7.0}, 3)
    logger.save()
    assert rows_of(path) == [("0", "0.0"), ("1", "0.5"), ("2", "1.0"), ("3", "7.0")]


def test_a_bad_byte_costs_no_other_row(tmp_path):
    path = tmp_path / "metrics.csv"
    written(path, range(6))
    path.write_bytes(path.read_bytes().replace(b"0.5,1", b"0.\xff,1"))
    MetricsFile(path, last_step=3)
    assert rows_of(path) == [("0", "0.0"), ("1", "0.\N{REPLACEMENT CHARACTER}"), ("2", "1.0")]


def test_a_validation_after_the_last_step_stays(tmp_path):
    path = tmp_path / "metrics.csv"
    written(path, [3], **{"val/loss": 1.0})
    MetricsFile(path, last_step=3)
    assert rows_of(path) == [("3", "1.5")]


@pytest.mark.parametrize("column", ["loss", "new"])
def test_a_disk_that_takes_no_more_costs_no_row(column, tmp_path, capsys):
    path = tmp_path / "metrics.csv"
    logger = written(path, range(200))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for step in range(200, 250):
        logger.log_metrics({column: step / 2}, step)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        logger.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and "could not be written: File too large" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]
    logger.save()
    assert [step for step, _ in rows_of(path)] == [str(step) for step in range(250)]
