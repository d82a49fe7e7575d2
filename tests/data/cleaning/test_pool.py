"""Files become documents, in order, whatever one of them does to the process that cleans it."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sprig.data.cleaning import pool
from sprig.data.cleaning import worker as worker_program
from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.cleaning.pool import Candidate, _Worker, cleaned
from sprig.data.config import DataConfig
from sprig.data.deduplication import text_key
from sprig.data.documents import Document, Skips

GOOD = "def f(x):\n    return x\n"
DENSE = ("f(a, b) + g[c]; " * 60 + "\n") * 2000  # takes about 6 s
FUNCTIONS = DataConfig(unit="function")


def functions_of(
    files: Iterable[tuple[str, str]], skips: Skips, workers: int = 2, **limits: Any
) -> Generator[Candidate, None, None]:
    """The candidates that the functions of files come to, under data.cleaning_<limit>."""
    documents = (Document(text, path, path, language="python") for path, text in files)
    config = replace(FUNCTIONS, **{f"cleaning_{name}": value for name, value in limits.items()})
    return cleaned(documents, config, skips, Counter(), workers=workers)


def paths(candidates: Iterable[Candidate]) -> list[str]:
    return [candidate.document.path.partition(":")[0] for candidate in candidates]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """All worker processes that the test starts."""
    started = []
    popen = subprocess.Popen

    def recorded(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)
    return started


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("print 'Python 2'", "not Python 3 syntax", id="Python 2"),
        pytest.param("def f(:", "not Python 3 syntax", id="an error"),
        pytest.param("x = 1\0", "not Python 3 syntax", id="NUL"),
        pytest.param("s = '\ud800'", "not Python 3 syntax", id="a lone surrogate"),
        pytest.param("x = " + "1" * 5000, "not Python 3 syntax", id="5,000 digits"),
        pytest.param("x = " + "(" * 300 + ")" * 300, "not Python 3 syntax", id="300 parentheses"),
        pytest.param("x = " + "-" * 10**5 + "1", "too large or too deeply nested to parse", id="signs"),
        pytest.param("x = 1" + " + 1" * 10**5, "too large or too deeply nested to parse", id="a long sum"),
        pytest.param("if a: 0\n" + "elif a: 0\n" * 30_000, "too large or too deeply nested to parse", id="a long elif"),
        pytest.param("x = [" + "0,\n" * 300_000 + "]", "too large or too deeply nested to parse", id="much memory"),
    ],
)
@pytest.mark.parametrize("unit", ["function", "file"])
def test_a_text_that_does_not_parse_is_counted_and_the_others_go_on(unit: str, text: str, reason: str) -> None:
    skips = Skips()
    files = [("a.py", GOOD), ("bad.py", text), ("b.py", GOOD), ("c.py", GOOD)]
    config = DataConfig(unit=unit, syntax=unit == "file", cleaning_megabytes=128)
    documents = (Document(text, path, path, language="python") for path, text in files)
    start = time.monotonic()
    parsed = list(cleaned(documents, config, skips, Counter(), workers=2))
    assert time.monotonic() - start < 5
    assert paths(parsed) == ["a.py", "b.py", "c.py"]
    function = unit == "function"
    assert {(each.document.text, each.document.header) for each in parsed} == {
        (GOOD.rstrip() if function else GOOD, 9 if function else 0)
    }
    assert (skips.counts, skips.examples) == ({reason: 1}, {reason: "bad.py"})


def test_what_parses_is_python_though_it_would_not_run() -> None:
    """A cell of a notebook, a part of a function: that there is a grammar to it is what is asked."""
    config = DataConfig(syntax=True)
    files = [Document("return await f(1)\n", "a.py", "a", language="python")]
    assert len(list(cleaned(files, config, Skips(), Counter(), workers=1))) == 1


def test_a_parse_that_takes_too_long_is_killed_and_the_others_go_on(processes: list[subprocess.Popen[bytes]]) -> None:
    skips = Skips()
    parsed = list(functions_of([("slow.py", DENSE), ("a.py", GOOD), ("b.py", GOOD)], skips, seconds=0.5))
    assert -signal.SIGXCPU in [process.returncode for process in processes]  # by how long it worked, not by a clock
    assert paths(parsed) == ["a.py", "b.py"]
    assert skips.counts == {"takes over 0.5 s to clean": 1}


def test_files_keep_their_order_and_those_without_functions_are_counted() -> None:
    files = [(f"{i}.py", "x = 1\n" + GOOD * (i * 37 % 50)) for i in range(50)]
    skips = Skips()
    assert paths(functions_of(files, skips)) == [f"{i}.py" for i in range(50) for _ in range(i * 37 % 50)]
    assert skips.counts == {"file without functions": 1}


def test_no_process_outlives_a_consumer_that_stops(processes: list[subprocess.Popen[bytes]]) -> None:
    parsed = functions_of([("a.py", GOOD), ("slow.py", DENSE), ("b.py", GOOD)], Skips())
    next(parsed)
    start = time.monotonic()
    parsed.close()
    assert time.monotonic() - start < 3  # the slow one would go on for twice as long
    assert [process.returncode for process in processes] == [-9, -9]


def test_no_process_outlives_an_error_in_what_it_reads_from(processes: list[subprocess.Popen[bytes]]) -> None:
    def files() -> Iterator[tuple[str, str]]:
        yield "a.py", GOOD
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(functions_of(files(), Skips()))
    assert [process.returncode for process in processes] == [-9]


def test_a_worker_that_died_while_idle_costs_no_file(processes: list[subprocess.Popen[bytes]]) -> None:
    worker = _Worker(FUNCTIONS)
    file = Document(GOOD, "a.py", "a.py", language="python")
    first = worker.ask(file)
    processes[0].kill()
    processes[0].wait()
    assert worker.ask(file) == first and len(processes) == 2
    worker.stop()


def test_a_worker_that_the_system_kills_once_costs_no_file(processes: list[subprocess.Popen[bytes]]) -> None:
    files = [("a.py", GOOD), ("slow.py", GOOD * 20_000), ("b.py", GOOD)]
    skips = Skips()
    parsed = functions_of(files, skips, workers=1)
    next(parsed)
    processes[0].kill()
    assert sorted(set(paths(parsed))) == ["b.py", "slow.py"]
    assert skips.counts == {} and len(processes) == 2


def test_a_file_at_which_the_system_kills_two_workers_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text(
        "import os; print('null', flush=True); input(); input(); os.kill(os.getpid(), 9)"
    )
    monkeypatch.setattr(worker_program, "__file__", str(tmp_path / "worker.py"))
    skips = Skips()
    assert list(functions_of([("a.py", GOOD)], skips)) == []
    assert skips.counts == {"ended by the system as it was cleaned, twice": 1}


def test_an_answer_that_was_there_in_time_counts_though_this_process_slept(
    processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    really = pool._exchange

    def slept(process: Any, line: bytes) -> bytes:
        answer = really(process, line)
        if len(line) > len(GOOD) and b"a.py" in line:
            process.wait()  # until the time is up, as after Ctrl-Z and fg
        return answer

    monkeypatch.setattr(pool, "_exchange", slept)
    skips = Skips()
    parsed = functions_of([("a.py", GOOD), ("b.py", GOOD)], skips, workers=1, seconds=0.2)
    assert paths(parsed) == ["a.py", "b.py"] and skips.counts == {} and len(processes) == 2


def test_warnings_that_whoever_runs_this_made_errors_are_no_fault_of_a_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    skips = Skips()
    assert paths(functions_of([("a.py", "def f():\n    return '\\d'\n")], skips)) == ["a.py"]
    assert skips.counts == {}


def test_a_filter_that_fails_on_every_file_ends_the_run_and_says_how(tmp_path: Path, processes: list[Any]) -> None:
    config = DataConfig(filters={"max_lines": 5}, syntax=True)
    files = [Document(7, f"{n}.py", "", language="python") for n in range(20)]  # type: ignore[arg-type]  no text
    with pytest.raises(RuntimeError, match=r"failed on 10 files in a row, the last of them 9\.py: AttributeError"):
        list(cleaned(files, config, Skips(), Counter(), workers=1))
    assert len(processes) == 1


def test_a_file_on_which_cleaning_fails_now_and_then_is_counted() -> None:
    config, skips = DataConfig(filters={"max_lines": 5}), Skips()
    files = [Document(GOOD if n % 10 == 9 else 7, f"{n}.py", "", language="python") for n in range(30)]  # type: ignore
    assert len(list(cleaned(files, config, skips, Counter(), workers=1))) == 3
    assert skips.counts == {"cleaning failed": 27}


@pytest.mark.parametrize(
    "script", ["print('null', flush=True); 1 / 0", "print('null', flush=True); input(); input(); 1 / 0"]
)
def test_a_fault_of_the_worker_itself_is_counted_and_what_it_says_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], script: str
) -> None:
    (tmp_path / "worker.py").write_text(script)
    monkeypatch.setattr(worker_program, "__file__", str(tmp_path / "worker.py"))
    skips = Skips()
    assert list(functions_of([("a.py", GOOD * 50_000)], skips)) == []  # more than a pipe holds
    assert skips.counts == {"cleaning failed": 1}
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_hangs_before_it_has_read_a_file_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("import time; print('null', flush=True); time.sleep(60)")
    monkeypatch.setattr(worker_program, "__file__", str(tmp_path / "worker.py"))
    skips, start = Skips(), time.monotonic()
    assert list(functions_of([("a.py", GOOD * 50_000)], skips, seconds=0.2)) == []  # more than a pipe holds
    assert time.monotonic() - start < 30  # by itself it would wait for 60
    assert skips.counts == {"takes over 0.2 s to clean": 1}


def test_a_worker_that_waits_for_its_turn_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have more to do than to clean: what counts is the time that the worker works."""
    turns = f"import sys, time; sys.path[:0] = {sys.path}; from sprig.data.cleaning import worker; " + (
        "answer = worker.answer; worker.answer = lambda *it: (time.sleep(1.5), answer(*it))[1]; worker.main()"
    )
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: popen([sys.executable, "-c", turns], **options))
    skips = Skips()
    assert paths(functions_of([("a.py", GOOD)], skips, workers=1, seconds=0.3)) == ["a.py"] and not skips.counts


def test_a_worker_that_does_not_start_in_time_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(worker_program, "__file__", str(tmp_path / "worker.py"))
    monkeypatch.setattr(pool, "START_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"does not run .*worker\.py, in 0\.5 s"):
        list(functions_of([("a.py", GOOD)], Skips()))
    assert time.monotonic() - start < 30  # by itself it would wait for 60


def test_a_worker_that_is_killed_as_it_starts_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(worker_program, "__file__", str(tmp_path / "worker.py"))
    with pytest.raises(OSError, match=r"cleans files was ended by SIGKILL, as a system without memory left does: try"):
        list(functions_of([("a.py", GOOD)], Skips()))


def test_an_interrupt_from_the_keyboard_does_not_reach_the_workers(processes: list[subprocess.Popen[bytes]]) -> None:
    parsed = functions_of([("a.py", GOOD), ("b.py", GOOD)], Skips())
    next(parsed)
    assert os.getpgrp() not in [os.getpgid(process.pid) for process in processes]
    parsed.close()


def test_a_python_that_does_not_start_is_an_error_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="status 1"):
        list(functions_of([("a.py", GOOD)], Skips()))


@pytest.mark.parametrize("workers", [1, 3])
def test_several_workers_come_to_what_none_comes_to(workers: int) -> None:
    config = DataConfig(unit="function", redact=True, near_duplicates=0.7)
    files = [
        Document(GOOD * (n % 4) + f"# jane.doe@host{n}.net\ndef g{n}(): pass\n", f"{n}.py", "", language="python")
        for n in range(40)
    ]
    skips, redacted = Skips(), Counter[str]()
    found = list(cleaned(files, config, skips, redacted, workers=workers))
    cleaner = Cleaner(config)
    expected = [document for file in files for document in cleaner.clean(file).documents]
    assert [candidate.document for candidate in found] == expected
    assert [candidate.key for candidate in found] == [text_key(document.text) for document in expected]
    assert redacted == {"email": 40} and len({len(candidate.signature) for candidate in found}) == 1


def test_what_every_file_is_compared_with_does_not_count_as_memory_of_a_file(tmp_path: Path) -> None:
    words = (f"name_{number}" for number in range(100_000))
    (tmp_path / "large.txt").write_text(" + ".join(words))  # its 10-grams take tens of megabytes
    config = DataConfig(decontaminate=[str(tmp_path / "large.txt")], syntax=True, cleaning_megabytes=16)
    files = [Document(GOOD, "a.py", "a.py", language="python")]
    assert len(list(cleaned(files, config, Skips(), Counter(), workers=1))) == 1
