"""Functions are cut out of a file with exact texts and headers."""

import ast
import inspect
import subprocess
import warnings
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprig.data.cleaning.functions import functions


def names(text: str) -> list[str]:
    return [name for name, _, _ in functions(text)]


def only(text: str) -> tuple[str, str]:
    """The text of the only function, in two: its header and what follows."""
    ((_, function, header),) = functions(text)
    return function[:header], function[header:]


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
    found = list(functions(inspect.getsource(module)))
    assert len(found) > 20
    for _, text, header in found:
        (whole,) = ast.parse(text).body
        (declared,) = ast.parse(text[:header] + " pass").body
        whole.body = declared.body
        assert ast.dump(whole) == ast.dump(declared)
