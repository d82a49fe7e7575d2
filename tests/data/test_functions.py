"""Files become their functions, with exact texts and headers, whatever a file does to the parser."""

import ast
import inspect
import os
import select
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data import functions_worker
from sprig.data.documents import Skips
from sprig.data.functions import Function, functions_of

GOOD = "def f(x):\n    return x\n"
DENSE = ("f(a, b) + g[c]; " * 60 + "\n") * 2000  # takes about 6 s


def names(text: str) -> list[str]:
    return [name for name, _, _ in functions_worker.functions(text)]


def only(text: str) -> tuple[str, str]:
    """The text of the only function, in two: its header and what follows."""
    ((_, function, header),) = functions_worker.functions(text)
    return function[:header], function[header:]


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


def test_methods_stand_alone_and_inner_functions_do_not() -> None:
    text = """
if True:
    def a(): pass
else:
    async def b(): pass
try:
    def c(): pass
except ValueError:
    def d(): pass
finally:
    def e(): pass
match 1:
    case 1:
        def f(): pass
class A:
    def g(self):
        def inner(): pass
        class Local:
            def method(self): pass
    class B:
        with 1:
            async def h(self): pass
h = lambda: 0
"""
    assert names(text) == ["a", "b", "c", "d", "e", "f", "A.g", "A.B.h"]


@pytest.mark.parametrize(
    ("text", "header", "body"),
    [
        pytest.param("def f(): return 1\nx = 2", "def f():", " return 1", id="one line"),
        pytest.param("def f():\n  return 1  # one\n\n# x", "def f():", "\n  return 1  # one", id="comment at the end"),
        pytest.param("def f(): return 1 \\\n\nx = 2", "def f():", " return 1", id="backslash at the end"),
        pytest.param("def f(): return '#'\\\n\nx = 2", "def f():", " return '#'", id="backslash after #"),
        pytest.param("def f(): return 'é'\\\n\nx", "def f():", " return 'é'", id="backslash after two bytes"),
        pytest.param("x = 1\n\x0cdef f(): pass", "def f():", " pass", id="form feed"),
        pytest.param("class A:\n\x0c  def f():\n    0", "def f():", "\n  0", id="form feed before a method"),
        pytest.param("class A:\n\tdef f():\n\t\tpass", "def f():", "\n\tpass", id="tabs"),
        pytest.param("class A:\n  def f():\n\n    x\n \n    y", "def f():", "\n\n  x\n \n  y", id="blank lines"),
        pytest.param('class A:\n  def f():\n    """A\n    b\n"""', "def f():", '\n  """A\n  b\n"""', id="docstring"),
        pytest.param("class A:\n  def f(a,\nb): pass", "def f(a,\nb):", " pass", id="line further to the left"),
        pytest.param("class A:\n  @a.b\n  @c\n  def f(): 0", "@a.b\n@c\ndef f():", " 0", id="decorators"),
        pytest.param("@(\n  # @\n  a\n)\ndef f(): 0", "@(\n  # @\n  a\n)\ndef f():", " 0", id="@ far from its name"),
        pytest.param("@(a\n@b)\ndef f(): 0", "@(a\n@b)\ndef f():", " 0", id="@ as an operator"),
        pytest.param("async \\\n def f(): 0", "async \\\n def f():", " 0", id="async on two lines"),
        pytest.param("def f(a: int = {1: 2}[1:2]): 0", "def f(a: int = {1: 2}[1:2]):", " 0", id="brackets"),
        pytest.param("def f() -> lambda: lambda: 0: 0", "def f() -> lambda: lambda: 0:", " 0", id="lambdas"),
        pytest.param("def f(  # a: b\n ): # c:\n 0", "def f(  # a: b\n ):", " # c:\n 0", id="comments"),
        pytest.param("def f() -> '''a:\nb:''': 0", "def f() -> '''a:\nb:''':", " 0", id="strings"),
        pytest.param("def f(a='\x85\u2028:'): 0", "def f(a='\x85\u2028:'):", " 0", id="no ends of lines"),
    ],
)
def test_a_function_is_cut_at_its_ends_and_at_its_colon(text: str, header: str, body: str) -> None:
    assert only(text) == (header, body)


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "1", "':'", '"""a:\n  b"""', "{}", "x[1:2]", "f'{x:>{3}}'", "...", "é", "(y := 1)"]),
    lambda inner: st.one_of(
        st.builds("(lambda a=0, *b: {})".format, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("x[{}:{}]".format, inner, inner),
        st.builds("f({},  # a comment: it has colons):\n  {})".format, inner, inner),
        st.builds("(\n{}\n)".format, inner),
    ),
    max_leaves=4,
)


@given(
    decorators=st.lists(EXPRESSIONS, max_size=2),
    start=st.sampled_from(["def f", "async def f", "async  def \\\n f"]),
    parameters=st.lists(st.tuples(EXPRESSIONS, EXPRESSIONS), max_size=3),
    result=st.none() | EXPRESSIONS | st.builds("lambda: {}".format, EXPRESSIONS),
    body=st.sampled_from([" pass", " # a: b\n  lambda: 0", "\n\n  @x\n  def g(): pass", " return {1: 2}"]),
)
def test_any_header_ends_at_its_own_colon(
    decorators: list[str], start: str, parameters: list[tuple[str, str]], result: str | None, body: str
) -> None:
    header = "".join(f"@{decorator}\n" for decorator in decorators) + start
    header += "(" + ", ".join(f"p{i}: {a} = {b}" for i, (a, b) in enumerate(parameters)) + ")"
    header += ":" if result is None else f" -> {result}:"
    assert only(header + body + "\n") == (header, body)


@pytest.mark.parametrize("module", [ast, subprocess, warnings])
def test_real_functions_parse_alone_and_headers_keep_what_they_declare(module: ModuleType) -> None:
    functions = list(functions_worker.functions(inspect.getsource(module)))
    assert len(functions) > 20
    for _, text, header in functions:
        (whole,) = ast.parse(text).body
        (declared,) = ast.parse(text[:header] + " pass").body
        whole.body = declared.body
        assert ast.dump(whole) == ast.dump(declared)


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
        pytest.param("if a: 0\n" + "elif a: 0\n" * 5000, "too large or too deeply nested to parse", id="a long elif"),
        pytest.param("x = [" + "0,\n" * 300_000 + "]", "too large or too deeply nested to parse", id="much memory"),
    ],
)
def test_a_text_that_does_not_parse_is_counted_and_the_others_go_on(text: str, reason: str) -> None:
    skips = Skips()
    files = [("a.py", GOOD), ("bad.py", text), ("b.py", GOOD), ("c.py", GOOD)]
    start = time.monotonic()
    parsed = list(functions_of(files, skips, memory=128 << 20))
    assert time.monotonic() - start < 5
    assert parsed == [(path, [Function("f", GOOD.rstrip(), 9)]) for path in ("a.py", "b.py", "c.py")]
    assert (skips.counts, skips.examples) == ({reason: 1}, {reason: "bad.py"})


def test_a_parse_that_takes_too_long_is_killed_and_the_others_go_on() -> None:
    skips = Skips()
    start = time.monotonic()
    parsed = list(functions_of([("slow.py", DENSE), ("a.py", GOOD), ("b.py", GOOD)], skips, seconds=0.5))
    assert time.monotonic() - start < 3
    assert [path for path, _ in parsed] == ["a.py", "b.py"]
    assert skips.counts == {"takes over 0.5 s to parse": 1}


def test_a_slow_consumer_does_not_use_up_the_time_of_a_text(
    processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("sprig.data.functions.time", SimpleNamespace(monotonic=lambda: now))
    large = "".join(f"def f{i}(): pass\n" for i in range(5000))  # the reply is larger than what a pipe holds
    skips = Skips()
    parsed = functions_of([("a.py", GOOD), ("b.py", large)], skips)
    next(parsed)
    select.select([processes[1].stdout], [], [])
    now = 1e6
    assert [(path, len(functions)) for path, functions in parsed] == [("b.py", 5000)]
    assert not skips.counts


def test_files_keep_their_order_and_files_without_functions_count_as_parsed() -> None:
    files = [(f"{i}.py", GOOD * (i * 37 % 50)) for i in range(50)]
    parsed = functions_of(files, Skips())
    assert [(path, len(functions)) for path, functions in parsed] == [(f"{i}.py", i * 37 % 50) for i in range(50)]


def test_no_process_outlives_a_consumer_that_stops(processes: list[subprocess.Popen[bytes]]) -> None:
    parsed = functions_of([("a.py", GOOD), ("slow.py", DENSE), ("b.py", GOOD)], Skips())
    next(parsed)
    start = time.monotonic()
    parsed.close()
    assert time.monotonic() - start < 1
    assert [process.returncode for process in processes] == [-9, -9]


def test_no_process_outlives_an_error_in_what_it_reads_from(processes: list[subprocess.Popen[bytes]]) -> None:
    def files() -> Iterator[tuple[str, str]]:
        yield "a.py", GOOD
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(functions_of(files(), Skips()))
    assert [process.returncode for process in processes] == [-9]


def test_a_worker_that_died_while_idle_costs_no_file(processes: list[subprocess.Popen[bytes]]) -> None:
    skips = Skips()
    parsed = functions_of([(path, GOOD) for path in "abcd"], skips)
    next(parsed)
    processes[0].kill()  # it has answered, and gets its next file after this one
    processes[0].wait()
    assert [path for path, _ in parsed] == ["b", "c", "d"]
    assert not skips.counts


def test_a_worker_that_the_system_kills_costs_the_file_it_was_at(
    processes: list[subprocess.Popen[bytes]],
) -> None:
    skips = Skips()
    parsed = functions_of([("a.py", GOOD), ("slow.py", DENSE), ("b.py", GOOD), ("c.py", GOOD)], skips)
    next(parsed)
    processes[1].kill()
    assert [path for path, _ in parsed] == ["b.py", "c.py"]
    assert skips.examples == {"too large or too deeply nested to parse": "slow.py"}


@pytest.mark.parametrize("script", ["print(flush=True); 1 / 0", "print(flush=True); input(); 1 / 0"])
def test_a_fault_of_the_worker_itself_is_counted_and_what_it_says_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], script: str
) -> None:
    (tmp_path / "worker.py").write_text(script)
    monkeypatch.setattr(functions_worker, "__file__", str(tmp_path / "worker.py"))
    skips = Skips()
    assert list(functions_of([("a.py", GOOD * 50_000)], skips)) == []  # more than a pipe holds
    assert skips.counts == {"parser failed": 1}
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_from_the_keyboard_does_not_reach_the_workers(processes: list[subprocess.Popen[bytes]]) -> None:
    parsed = functions_of([("a.py", GOOD), ("b.py", GOOD)], Skips())
    next(parsed)
    assert os.getpgrp() not in [os.getpgid(process.pid) for process in processes]
    parsed.close()


def test_a_python_that_does_not_start_is_an_error_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="status 1"):
        list(functions_of([("a.py", GOOD)], Skips()))
