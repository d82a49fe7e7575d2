"""The source `snippets`: its library is right and its cases bite; what it draws is distinct, even and repeatable."""

import ast
import builtins
import inspect
import keyword
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest

from sprig.data.documents import Document, Skips
from sprig.data.sources.snippets import Config, concept_of, documents
from sprig.data.sources.snippets.concept import STYLES, Concept, Way, render
from sprig.data.sources.snippets.library import CATEGORIES, CONCEPTS

LEXEME = re.compile(r"\n *|\w+|\*\*=|//=|\*\*|//|->|[-+*/%<>=!|&^]=|\S")
ALSO_RIGHT = {
    ("subtract", "set_difference"),  # a - b on sets
    ("set_difference", "subtract"),
    ("at_most", "is_subset"),  # a <= b on sets
    ("is_subset", "at_most"),
    ("deep_sum", "total"),  # a flat list is a nested one, too
}
"""Concepts that rightly do the work of another one, since Python means both by the same."""
HARMLESS = "range(1, n + 2)"
"""The one wrong constant that makes no difference: n + 1 does not divide n."""
EVERY_SNIPPET = [(concept, *combination) for concept in CONCEPTS.values() for combination in concept.combinations()]
EVERY_WAY = [(concept, way) for concept in CONCEPTS.values() for way in concept.ways]


def drawn(**settings: Any) -> list[Document]:
    return list(documents(Config(**settings), Skips()))


def first_of(concept: Concept, way: Way) -> str:
    return render(concept, way, way.names[0], concept.parameters[0])[0]


def define(text: str | ast.Module, name: str) -> Any:
    """The function called name that a snippet's text (or tree) defines."""
    scope: dict[str, Any] = {"fuel": iter(range(1_000))}
    exec(compile(text, "snippet", "exec"), scope)
    return scope[name]


def comparable(value: Any) -> object:
    """A value whose == tells 1, 1.0 and True apart, at any depth."""
    if isinstance(value, SimpleNamespace):
        return "self", comparable(vars(value))
    if isinstance(value, dict):
        return dict, [(comparable(key), comparable(entry)) for key, entry in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [comparable(element) for element in value]
    if isinstance(value, set):
        return set, {comparable(element) for element in value}
    assert value is None or type(value) in (bool, int, float, str), value
    return type(value), value


def outcomes(function: Any, concept: Concept) -> Iterator[object]:
    """For each case what the function returns and leaves of its arguments, or the kind of its exception."""
    for case in concept.cases:
        arguments = deepcopy(case)
        try:
            yield comparable(function(*arguments)), comparable(arguments)
        except Exception as error:
            yield type(error)


RIGHT = {concept.name: list(outcomes(concept.reference, concept)) for concept in CONCEPTS.values()}


def passes(function: Any, concept: Concept) -> bool:
    return all(one == other for one, other in zip(outcomes(function, concept), RIGHT[concept.name], strict=True))


def test_a_reference_handles_each_of_its_cases_and_there_are_four_or_more() -> None:
    for name, right in RIGHT.items():
        assert len(right) >= 4, name
        assert not [outcome for outcome in right if isinstance(outcome, type)], name


def test_every_snippet_does_what_its_reference_does() -> None:
    for concept, way, name, parameters in EVERY_SNIPPET:
        text, _ = render(concept, way, name, parameters)
        assert passes(define(text, name), concept), text


@pytest.mark.parametrize("category", [module.CONCEPTS[0].category for module in CATEGORIES])
def test_a_wrong_operator_or_constant_fails_a_case(category: str) -> None:
    for concept, way in EVERY_WAY:
        if concept.category == category:
            for wrong in mutants(first_of(concept, way)):
                function = define(wrong, way.names[0])
                code = ast.unparse(wrong)
                assert HARMLESS in code or not passes(function, concept), code


def test_no_way_of_one_concept_passes_the_cases_of_another() -> None:
    functions = [(concept, way, define(first_of(concept, way), way.names[0])) for concept, way in EVERY_WAY]
    for concept, way, function in functions:
        for other in CONCEPTS.values():
            same_signature = len(concept.parameters[0]) == len(other.parameters[0])
            if same_signature and concept is not other and (concept.name, other.name) not in ALSO_RIGHT:
                assert not passes(function, other), (way.names[0], other.name)


def test_a_name_belongs_to_one_way_of_one_concept() -> None:
    names = Counter(name for _, way in EVERY_WAY for name in way.names)
    assert [name for name, count in names.items() if count > 1] == []


def test_the_last_word_of_a_name_tells_the_style_and_only_the_style() -> None:
    for concept in CONCEPTS.values():
        assert concept.ways[0].names[0].startswith(concept.name)
        for name in concept.ways[0].names:
            synonym, _, style = name.rpartition("_")
            plain = synonym if style in STYLES else name
            assert plain.rpartition("_")[2] not in STYLES, name
            assert len(plain.split("_")) <= 2, name


def test_no_name_hides_another() -> None:
    """No function and no parameter is called like a builtin, a keyword or another name in the same body."""
    for concept, way in EVERY_WAY:
        (function,) = ast.parse(first_of(concept, way)).body
        needed = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        needed |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
        needed -= {*concept.parameters[0], way.names[0]}
        taken = {*dir(builtins), *keyword.kwlist, *needed}
        choices = {parameter for parameters in concept.parameters for parameter in parameters}
        assert choices & {*taken, *way.names} == set(), way
        assert set(way.names) & taken == set(), way
        assert all(len(set(parameters)) == len(concept.parameters[0]) for parameters in concept.parameters)


def test_a_snippet_is_one_function_and_short() -> None:
    lexemes = []
    for combination in EVERY_SNIPPET:
        text, header = render(*combination)
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
        is_block = len(function.body) > 1 or isinstance(function.body[0], ast.If | ast.For | ast.While)
        assert text[header:].startswith("\n    " if is_block else " "), text
        assert is_block or "\n" not in text, text
        assert text == text.strip()
        lexemes.append(len(LEXEME.findall(text)))
    assert max(lexemes) <= 36
    assert 15 <= mean(lexemes) <= 25


def test_the_library_is_large_and_no_concept_stands_out() -> None:
    sizes = Counter(concept.name for concept, *_ in EVERY_SNIPPET)
    assert len(sizes) >= 120
    assert 12_000 <= sum(sizes.values()) <= 16_000
    assert max(sizes.values()) <= 100
    without_choice_of_parameters = {"area", "perimeter", "full_name"}  # of self alone
    assert {name for name, size in sizes.items() if size < 50} == without_choice_of_parameters
    assert min(len(concept.ways) for concept in CONCEPTS.values()) >= 2


def test_a_reference_is_no_copy_of_a_body() -> None:
    for concept, way in EVERY_WAY:
        if inspect.isfunction(concept.reference):
            parameters = tuple(inspect.signature(concept.reference).parameters)
            if len(parameters) == len(concept.parameters[0]):  # not (*numbers)
                text, header = render(concept, way, way.names[0], parameters)
                expression = text[header:].strip().removeprefix("return ")
                assert f": {expression}," not in inspect.getsource(concept.reference), text


def test_ten_thousand_distinct_snippets_by_default_with_the_samples_of_the_trade() -> None:
    snippets = drawn()
    assert len(snippets) == len({document.text for document in snippets}) == 10_000
    assert len({document.group for document in snippets}) == 10_000
    assert {"def add(a, b): return a + b", "def multiply(a, b): return a * b"} <= {d.text for d in snippets}


def test_a_document_points_at_its_header_and_its_concept() -> None:
    for document in drawn(count=500):
        assert document.text[: document.header] == document.group
        assert re.fullmatch(r"def \w+\([\w, ]+\):", document.group)
        concept = concept_of(document.concept)
        kind, _, place = document.path.partition(":")
        name, _, number = place.partition("/")
        assert (kind, name) == ("snippets", concept.name)
        assert render(concept, *list(concept.combinations())[int(number)])[0] == document.text


def test_the_seed_decides_what_is_drawn_and_in_which_order() -> None:
    assert drawn(count=300, seed=3) == drawn(count=300, seed=3)
    assert drawn(count=300, seed=3) != drawn(count=300, seed=4)


@pytest.mark.parametrize("count", [1, 150, 2_000, 10_000])
def test_concepts_share_evenly_and_the_seed_example_is_always_there(count: int) -> None:
    snippets = drawn(count=count, seed=count)
    assert "def add(a, b): return a + b" in {document.text for document in snippets}
    shares = Counter(document.concept for document in snippets)
    sizes = Counter(concept.name for concept, *_ in EVERY_SNIPPET)
    unfilled = [shares[name] for name in sizes if shares[name] < sizes[name]]
    assert max(unfilled) - min(unfilled) <= 1


def test_neighbours_are_of_many_concepts() -> None:
    snippets = drawn(count=2_000)
    assert snippets != sorted(snippets, key=lambda document: document.path)
    assert len({document.concept for document in snippets[:50]}) > 25


def test_concepts_and_categories_restrict_what_is_drawn() -> None:
    assert {document.concept for document in drawn(count=50, concepts=["multiply"])} == {"multiply"}
    kept = {document.concept for document in drawn(count=50, concepts=["add", "sets"])}
    assert kept == {"add"} | {name for name, concept in CONCEPTS.items() if concept.category == "sets"}


def test_everything_can_be_drawn_and_no_more() -> None:
    assert len(drawn(count=len(EVERY_SNIPPET))) == len(EVERY_SNIPPET)
    for count in (len(EVERY_SNIPPET) + 1, 0, -5):
        with pytest.raises(ValueError, match=f"data.count={count}: .* 1 to {len(EVERY_SNIPPET)} "):
            drawn(count=count)


@pytest.mark.parametrize(("wrong", "nearest"), [("multipy", "multiply"), ("string", "strings"), ("?", "add")])
def test_an_unknown_concept_is_refused_and_the_nearest_named(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(wrong))) as refusal:
        drawn(count=5, concepts=["add", wrong])
    assert nearest == "add" or repr(nearest) in str(refusal.value)


def test_importing_the_source_does_not_import_the_library() -> None:
    code = "import sys, sprig.data.sources.snippets as s; print([m for m in sys.modules if m.startswith(s.__name__)])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['sprig.data.sources.snippets']"


OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(text: str) -> Iterator[ast.Module]:
    """Every tree in which one operator is another, one negation is undone, or one constant has another value."""
    for place in range(len(list(ast.walk(ast.parse(text))))):
        tree = ast.parse(text)
        node = list(ast.walk(tree))[place]
        match node:
            case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
                node.op = OPPOSITE[type(node.op)]()
            case ast.Compare():
                node.ops[0] = OPPOSITE[type(node.ops[0])]()
            case ast.UnaryOp(op=ast.Not()):
                node.operand = ast.UnaryOp(ast.Not(), node.operand)
            case ast.UnaryOp(op=ast.USub()):
                node.op = ast.UAdd()
            case ast.Constant(value=bool()):
                node.value = not node.value
            case ast.Constant(value=int()):
                node.value += 1
            case ast.Constant(value=str()):
                node.value += "x"
            case _:
                continue
        for loop in ast.walk(tree):
            if isinstance(loop, ast.While):  # it may never end now: let it run out of fuel
                loop.body.insert(0, ast.parse("next(fuel)").body[0])
        yield ast.fix_missing_locations(tree)
