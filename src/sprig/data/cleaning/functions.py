"""Python text -> its functions, with exact texts and headers.

Where it stands: in a worker process (`sprig.data.cleaning.worker`), for a hostile or generated file can make the
parser take minutes and gigabytes, or overflow its stack.
"""

import ast
import tokenize
from collections.abc import Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)  # the nodes that can hold a statement


def functions(source: str) -> Iterator[tuple[str, str, int]]:
    """Yield (qualified name, dedented text, header length) of each function and method, in the file's order.

    A function inside a function is part of that one only. Raises SyntaxError, ValueError (a NUL, a lone
    surrogate), MemoryError or RecursionError.
    """
    lines = source.split("\n")  # splitlines() also breaks where Python does not: at "\x85", for one
    pending: list[tuple[ast.AST, str]] = [(ast.parse(source), "")]
    while pending:
        node, prefix = pending.pop()
        if isinstance(node, _FUNCTIONS):
            yield prefix + node.name, *_cut(node, lines)
            continue
        if isinstance(node, ast.ClassDef):
            prefix += node.name + "."
        children = [(child, prefix) for child in ast.iter_child_nodes(node) if isinstance(child, _BLOCKS)]
        pending.extend(reversed(children))


def _cut(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> tuple[str, int]:
    """Return the function's text, from its first decorator to its last line, and the length of its header."""
    assert node.end_lineno is not None
    start = node.lineno - 1
    if node.decorator_list:
        start = node.decorator_list[0].lineno - 1
        while not lines[start].lstrip().startswith("@"):  # "@(" on one line, the expression on a later one
            start -= 1
    # Lines of a string, too, lose the indentation that the function loses; lines that lack it (blank ones,
    # the inside of brackets) stay as they are. What precedes a form feed does not count as indentation.
    first = lines[start]
    indent = first[: len(first) - len(first.lstrip())].rpartition("\f")[2]
    kept = [first.lstrip()] + [line.removeprefix(indent) for line in lines[start + 1 : node.end_lineno]]
    rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()  # offsets are in UTF-8
    if rest.endswith("\\") and "#" not in rest:  # it would continue the statement on a line that is not ours
        kept[-1] = kept[-1].removesuffix(rest)
    above = kept[: node.lineno - 1 - start]
    row, column = _colon(kept[len(above) :])
    header = sum(len(line) + 1 for line in kept[: len(above) + row]) + column
    return "\n".join(kept), header


def _colon(lines: list[str]) -> tuple[int, int]:
    """Return the line, from 0, and the column just behind the colon that ends the header lines begin with."""
    readline = iter([line + "\n" for line in lines]).__next__
    depth = lambdas = 0
    for token in tokenize.generate_tokens(readline):
        if token.type == tokenize.OP and token.string in "([{":
            depth += 1
        elif token.type == tokenize.OP and token.string in ")]}":
            depth -= 1
        elif depth == 0 and token.string == "lambda":  # in the annotation of the result
            lambdas += 1
        elif depth == 0 and token.string == ":":
            if lambdas == 0:
                return token.end[0] - 1, token.end[1]
            lambdas -= 1
    raise AssertionError("a function without a colon")
