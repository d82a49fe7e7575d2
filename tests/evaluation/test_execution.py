"""Generated code is run where it can do little, and believed only where its values are right."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprig.evaluation.execution import Candidate, Limits, Outcome, _comparable, execute, judge, passes
from sprig.evaluation.execution_child import MAX_DEPTH, UnsupportedValue, decode, encode, from_line, to_line

ROOT = os.geteuid() == 0  # whom RLIMIT_NPROC does not bind


@pytest.fixture(autouse=True)
def soon_over() -> Iterator[None]:
    """Nothing that generated code does can hold us up: that is a fact of every test here."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 30  # what sleeps here would sleep for 60 s


def run(body: str, *arguments: object, seconds: float = 5.0) -> Outcome:
    """Run a function of this body, with `os` at hand, on one case."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return execute(f"import os, sys\ndef f(*args):\n{lines}\n", "f", [arguments], Limits(seconds=seconds))


def value_of(body: str, *arguments: object) -> object:
    outcome = run(body, *arguments)
    assert outcome.status == "returned", outcome
    return outcome.calls[0].value


# The process and what surrounds it


def test_the_function_runs_in_another_process() -> None:
    assert value_of("return os.getpid()") != os.getpid()


def test_the_environment_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRIG_SECRET", "a key")
    assert value_of("return os.environ.get('SPRIG_SECRET')") is None


def test_installed_packages_cannot_be_imported() -> None:
    assert run("import numpy").detail == "ModuleNotFoundError"


@pytest.mark.parametrize("nested", [0, 1, 1000])
def test_the_working_folder_is_fresh_and_deleted_with_all_that_was_put_there(nested: int) -> None:
    folder, content = value_of(
        "folder, content = os.getcwd(), os.listdir()\n"
        "for _ in range(args[0]):\n    os.mkdir('a')\n    os.chdir('a')\nopen('file', 'w').close()\n"
        "return folder, content",
        nested,
    )  # type: ignore[misc]
    assert content == []
    assert Path(folder) != Path.cwd()
    assert not Path(folder).exists()


def test_what_the_function_prints_is_not_the_answer() -> None:
    assert value_of("print('{}'); print('{}', file=sys.stderr); os.system('echo {}')\nreturn 1") == 1


# What hostile code gets for its pains

FLOOD = "for fd in range(3, 32):\n    try:\n        {}\n    except OSError: pass"
HOSTILE = {
    "endless loop": ("while True: pass", "timed out"),
    "sleep": ("import time; time.sleep(60)", "timed out"),
    "deaf to SIGTERM": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "timed out",
    ),
    "closed descriptors": ("import time; os.closerange(0, 32); time.sleep(60)", "killed"),
    "early exit": ("os._exit(0)", "killed"),
    "sys.exit": ("sys.exit(0)", "raised"),
    "SystemExit": ("raise SystemExit", "raised"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "raised"),
    "real-time signal": ("os.kill(os.getpid(), 40)", "killed"),
    "long list": ("return [0] * 10**10", "raised"),
    "long string": ("return 'x' * 10**10", "raised"),
    "recursion": ("return f()", "raised"),
    "big file": ("with open('big', 'wb') as file: file.write(b'x' * 2**22)", "raised"),
    "many files": ("return len([open(os.devnull) for _ in range(100)])", "raised"),
    "100 MB printed": ("for _ in range(100): print('x' * 10**6)", "returned"),
    "flooded answer": (FLOOD.format("while True: os.write(fd, b'x' * 2**16)"), "bad answer"),
    "forged line": (FLOOD.format("os.write(fd, b'garbage\\n')"), "bad answer"),
    "forged empty line": (FLOOD.format("os.write(fd, b'\\n')"), "bad answer"),
    "forged nesting": (FLOOD.format("os.write(fd, b'[' * 50_000 + b'\\n')"), "bad answer"),
    "deep value": ("x = []\nfor _ in range(900): x = [x]\nreturn x", "unsupported value"),
    "list in itself": ("x = []; x.append(x)\nreturn x", "unsupported value"),
    "few lists, many values": ("x = 1\nfor _ in range(60): x = [x, x]\nreturn x", "unsupported value"),
    "many small values": ("return list(range(20_000))", "unsupported value"),
    "large value": ("return 'x' * 10**6", "unsupported value"),
    "one large string, many times": ("return ['x' * 10**5] * 10**4", "unsupported value"),
    "large argument": ("args[0].append('x' * 10**6)", "unsupported value"),
    "str subclass": ("class Text(str): pass\nreturn Text('x')", "unsupported value"),
    "equal to all": ("class Same:\n    def __eq__(self, _): return True\nreturn Same()", "unsupported value"),
    "generator": ("return (x for x in args)", "unsupported value"),
    "no JSON left": ("import json; json.dumps = None", "killed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_is_reported_in_time(name: str) -> None:
    body, status = HOSTILE[name]
    assert run(body, [], seconds=0.5 if status == "timed out" else 5).status == status


def test_the_detail_of_a_raised_exception_is_its_type() -> None:
    assert run("return 1 / 0").detail == "ZeroDivisionError"


def test_the_name_of_an_exception_cannot_write_on_the_terminal() -> None:
    detail = run("raise type('\\x1b[2J\\n' + 'x' * 1000, (Exception,), {})").detail
    assert detail.isprintable()
    assert len(detail) == 200


def test_processes_left_behind_are_killed_or_never_start(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    leave_three_holding_a_lock = (
        "import fcntl, time\n"
        "lock = open(args[0])\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "for _ in range(3):\n    if os.fork() == 0: time.sleep(60)\n"
        "return 'forked'"
    )
    lock = tmp_path / "lock"
    lock.touch()
    assert run(leave_three_holding_a_lock, str(lock)).status == ("returned" if ROOT else "raised")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits for as long as one of them lives


def test_a_process_left_behind_with_the_pipe_open_does_not_hold_us_up() -> None:
    body = "import time\nif os.fork() == 0: time.sleep(60)\nos._exit(0)"
    assert run(body, seconds=0.5).status == ("timed out" if ROOT else "raised")


def test_processes_can_be_started_by_root_alone() -> None:
    outcome = run("pid = os.fork()\nif pid == 0: os._exit(0)\nreturn os.waitpid(pid, 0)[1]")
    assert (outcome.status, outcome.detail) == (("returned", "") if ROOT else ("raised", "BlockingIOError"))


# Sources that define nothing to call


@pytest.mark.parametrize(
    "source",
    ["def f(:", "def f(): return '\0'", "x = '\ud800'", "-" * 10**6 + "1", "(" * 10**5, "return 1"],
    ids=lambda source: ascii(source[:20]),
)
def test_source_that_does_not_compile_is_a_syntax_error(source: str) -> None:
    assert execute(source, "f", [()]).status == "syntax error"


@pytest.mark.parametrize("source", ["", "def g(): pass", "f = 3", "if __name__ == '__main__':\n    def f(): pass"])
def test_source_without_the_function_misses_it(source: str) -> None:
    assert execute(source, "f", [()]).status == "missing function"


def test_source_that_raises_has_raised() -> None:
    assert execute("def f(): pass\nraise SystemExit", "f", [()]) == Outcome("raised", "SystemExit")


# Cases


def test_a_case_that_raises_leaves_the_others_their_values() -> None:
    outcome = execute("def f(a): return 1 // a", "f", [(1,), (0,), (-1,)])
    assert [call.status for call in outcome.calls] == ["returned", "raised", "returned"]
    assert [call.value for call in outcome.calls] == [1, None, -1]
    assert (outcome.status, outcome.detail) == ("raised", "ZeroDivisionError")


def test_changed_arguments_are_reported_and_each_case_gets_fresh_ones() -> None:
    shared: list[object] = [1]
    outcome = execute("def f(a): a.append(2)", "f", [(shared,), (shared,)])
    assert [call.arguments for call in outcome.calls] == [([1, 2],), ([1, 2],)]
    assert shared == [1]


def test_self_is_an_object_with_the_attributes_given() -> None:
    outcome = execute("def f(self): self.total += self.step", "f", [(SimpleNamespace(total=1, step=2),)])
    assert outcome.calls[0].arguments == (SimpleNamespace(total=3, step=2),)


def test_a_dict_arrives_in_its_own_order() -> None:
    assert value_of("return list(args[0])", {"b": 1, "a": 2}) == ["b", "a"]


def test_the_cases_may_not_hold_other_types() -> None:
    with pytest.raises(ValueError, match="unsupported type bytes"):
        execute("def f(a): pass", "f", [(b"x",)])


# Values

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.sets(scalars)
        | st.dictionaries(st.sampled_from("xyz"), inner).map(lambda items: SimpleNamespace(**items))
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(values)
def test_every_value_survives_the_journey(value: object) -> None:
    assert _comparable(decode(from_line(to_line(encode(value))))) == _comparable(value)


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, 10**5000, -(10**5000), "\ud800", "\ud83d\ude00", "\0\n\u2028", {(1, "a"): {2.5}}],
    ids=lambda value: type(value).__name__,  # pytest's own ids fail for 5000 digits
)
def test_awkward_values_come_back_as_they_were(value: object) -> None:
    assert value_of("return args[0]", value) == value


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("1", True),
        ("1.0", 1),
        ("(1,)", [1]),
        ("{1: 0}", {True: 0}),
        ("{1}", {1.0}),
        ("{'a': 1}", SimpleNamespace(a=1)),
        ("None", False),
        ("[1, [2, 3.0]]", [1, [2, 3]]),
        ("'nan'", math.nan),
        ("[1, 2]", [1]),
        ("b'a'", "a"),
    ],
)
def test_equal_or_alike_values_of_different_type_differ(returned: str, expected: object) -> None:
    assert not passes(Candidate(f"def f(): return {returned}", "f", [()], lambda: expected))


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("float('nan')", math.nan),
        ("[float('nan')]", [math.nan]),
        ("-0.0", 0.0),
        ("{'b': 2, 'a': 1}", {"a": 1, "b": 2}),
        ("{*'cab'}", {*"abc"}),
    ],
)
def test_values_that_python_takes_for_the_same_are_the_same_and_so_is_nan(returned: str, expected: object) -> None:
    assert passes(Candidate(f"def f(): return {returned}", "f", [()], lambda: expected))


def test_depth_is_bounded_where_values_leave_and_where_they_arrive() -> None:
    value: object = 1
    encoded: object = ["int", "0x1"]
    for _ in range(MAX_DEPTH + 1):
        value, encoded = [value], ["list", [encoded]]
    with pytest.raises(UnsupportedValue):
        encode(value)
    with pytest.raises(ValueError, match="nested"):
        decode(encoded)
    assert encode(value[0]) == encoded[1][0]  # type: ignore[index]


# Judging


def append_last(items: list[object]) -> list[object]:
    items.append(items[-1])
    return items


def candidate(body: str) -> Candidate:
    """A function of this body, judged by whether it appends the last item to the list it gets."""
    return Candidate(f"def f(a):\n    {body}", "f", [([1],), ([1, 2],)], append_last)


@pytest.mark.parametrize("body", ["a.append(a[-1]); return a", "a += a[-1:]; return [*a]"])
def test_a_right_function_passes(body: str) -> None:
    assert passes(candidate(body))


FORGERY = (
    "import os, json; call = ['returned', '', ['list', [['int', '1']]], ['tuple', []]]; "
    "answer = json.dumps({'status': 'returned', 'detail': '', 'calls': [call, call]}); "
    "os.write(3, answer.encode() + b'\\n'); os._exit(0)"
)


@pytest.mark.parametrize(
    "body",
    [
        "return a + a[-1:]",  # the right value, the argument left as it was
        "a.append(a[-1])",  # the argument right, no value
        "a.append(a[0]); return a",  # right on the first case only
        "a.append(a[-1]); return a if len(a) < 3 else 1 / 0",
        "class Same(list): __eq__ = lambda *_: True\n    return Same()",
        "import builtins; builtins.type = lambda _: list; return object()",
        "import sys; sys.modules['__main__'].encode = lambda *_: True; return 0",
        "raise SystemExit(0)",
        "import os; os._exit(0)",
        FORGERY,
    ],
)
def test_a_wrong_function_fails_whatever_it_does(body: str) -> None:
    assert not passes(candidate(body))


def test_a_function_that_raises_is_not_taken_for_one_that_returns_none() -> None:
    assert not passes(Candidate("def f(): raise ValueError", "f", [()], lambda: None))


def test_a_forged_answer_is_read_and_compared_like_any_other() -> None:
    outcome = execute(candidate(FORGERY).source, "f", [([1],), ([1, 2],)])
    assert outcome.status == "returned"
    assert [call.value for call in outcome.calls] == [[1], [1]]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        3,
        {"status": "returned", "detail": "", "calls": []},
        {"status": "fine", "detail": "", "calls": []},
        {"status": ["returned"], "detail": "", "calls": []},
        {"status": "returned", "detail": "", "calls": [["returned", "", None]]},
        {"status": "returned", "detail": "", "calls": [["returned", "", None, None]]},
        {
            "status": "returned",
            "detail": "",
            "calls": [["returned", "", ["set", [["list", []]]], ["tuple", []]]],
        },
        {"status": "returned", "detail": "", "calls": [["returned", "", ["bytes", "x"], ["tuple", []]]]},
    ],
)
def test_an_answer_of_another_shape_is_a_bad_answer(answer: object) -> None:
    assert run(FLOOD.format("os.write(fd, args[0].encode())"), to_line(answer).decode()).status == "bad answer"


def test_arguments_of_the_reference_stay_as_they_are() -> None:
    cases = [([1],)]
    assert passes(Candidate("def f(a):\n    a.append(a[-1])\n    return a", "f", cases, append_last))
    assert cases == [([1],)]


def test_a_function_without_cases_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="no cases"):
        passes(Candidate("def f(): pass", "f", [], lambda: None))


def test_a_reference_that_returns_what_cannot_travel_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="unsupported type bytes"):
        passes(Candidate("def f(): return b''", "f", [()], lambda: b""))


def test_verdicts_stand_in_the_order_of_the_candidates_and_one_that_hangs_spoils_no_other() -> None:
    right, wrong, hanging = map(candidate, ("a.append(a[-1]); return a", "return a", "while True: pass"))
    verdicts = judge([right, wrong, hanging, right, right], Limits(seconds=1))
    assert verdicts == [True, False, False, True, True]
