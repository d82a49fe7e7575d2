import math

from drawn import drawn
from sprig.trace.jobs import JobResult, draw_jobs


def job(number: int, loss: float | None, status: str = "done", **more: str) -> JobResult:
    metrics = {} if loss is None else {"val/loss": loss, "val/accuracy": loss / 10}
    return JobResult(number, [f"optim.lr={number}"], status, metrics, f"outputs/sweep/{number}_lr-{number}", **more)


def order(jobs: list[JobResult], *ranking: str) -> list[str]:
    """The job numbers as the table has them, top to bottom."""
    return [line.split()[0] for line in drawn(draw_jobs(jobs, *ranking)).splitlines()[3 : 3 + len(jobs)]]


def test_the_best_job_comes_first_by_the_monitored_metric() -> None:
    jobs = [job(0, 2.0), job(1, 1.0), job(2, 3.0)]
    assert order(jobs) == ["1", "0", "2"]
    assert order(jobs, "val/accuracy", "max") == ["2", "0", "1"]


def test_jobs_that_failed_or_diverged_come_last_whatever_the_mode() -> None:
    jobs = [job(0, None, "failed"), job(1, math.nan), job(2, 0.1, "failed"), job(3, 1.0)]
    assert order(jobs) == ["3", "0", "1", "2"]
    assert order(jobs, "val/loss", "max") == ["3", "0", "1", "2"]


def test_a_failed_job_says_why_as_text() -> None:
    page = drawn(draw_jobs([job(0, 1.0), job(1, None, "failed", error="data.path=[bold]x is missing")]))
    assert page.endswith("job 1 failed: data.path=[bold]x is missing")


def test_the_best_job_alone_is_a_command_to_copy() -> None:
    best = job(1, 1.0)
    best.overrides = ["optim.lr=0.1", "data.path=my code"]
    page = drawn(draw_jobs([job(0, 2.0), best]))
    assert page.splitlines()[-1] == "    python src/train.py optim.lr=0.1 'data.path=my code'"
    assert "src/train.py" not in drawn(draw_jobs([job(0, None, "failed"), job(1, math.nan)]))


def test_a_directory_that_all_jobs_share_is_named_once() -> None:
    page = drawn(draw_jobs([job(0, 1.0), job(1, 2.0)]))
    assert page.count("outputs/sweep") == 1
    assert page.splitlines()[3].split() == ["0", "1.000", "0.100", "done", "optim.lr=0", "0_lr-0"]


def test_jobs_are_counted_in_words() -> None:
    first = [drawn(draw_jobs([job(n, 1.0) for n in range(count)])).splitlines()[0] for count in (1, 2)]
    assert [line.partition(",")[0] for line in first] == ["1 job", "2 jobs"]


def test_jobs_in_different_places_are_named_in_full() -> None:
    elsewhere = job(1, 2.0)
    elsewhere.directory = "other/1"
    page = drawn(draw_jobs([job(0, 1.0), elsewhere]))
    assert "outputs/sweep/0_lr-0" in page and "other/1" in page


def test_what_was_typed_or_said_is_text_without_control_characters() -> None:
    odd = "x\x1b]0;x\x07"
    best, failed = job(0, 1.0), job(1, None, "failed", error=odd)
    best.overrides = [f"name={odd}"]
    page = drawn(draw_jobs([best, failed]))
    assert "\x1b" not in page and page.count("x\\x1b]0;x\\x07") == 3
