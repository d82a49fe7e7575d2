"""Plant copies of the standard library's functions, and say which of them sprig.data.near_duplicates finds."""

import argparse
import ast
import io
import random
import sys
import tempfile
import time
import tokenize
import tracemalloc
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.collection import collect
from sprig.data.near_duplicates import THRESHOLD, clusters, signature, tokens
from sprig.data.sources import stdlib

SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Assert, ast.Delete)


def jaccard(one: str, other: str) -> float:
    """The exact one, of the two sets of 5-grams that the signatures stand for."""
    left, right = (set(zip(*(tokens(text)[place:] for place in range(5)), strict=False)) for text in (one, other))
    return len(left & right) / max(1, len(left | right))


def statements(text: str) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The statements that hold no others, in the text's order: the docstrings, and those that do something."""
    found = sorted((node for node in ast.walk(ast.parse(text)) if isinstance(node, SIMPLE)), key=lambda n: n.lineno)
    strings = [node for node in found if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return strings, [node for node in found if node not in strings]


def renamed(text: str, share: float, draw: random.Random) -> str:
    """The function with this share of its parameters and variables under new names, everywhere."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {node.arg for node in nodes if isinstance(node, ast.arg)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    new = {name: f"new_{name[::-1]}" for name in draw.sample(sorted(names), round(share * len(names)))}
    lines = text.splitlines()
    found = pairwise(tokenize.generate_tokens(io.StringIO(text).readline))
    for before, token in reversed(list(found)):  # from behind: places stay right
        if token.type == tokenize.NAME and token.string in new and before.string != ".":
            line = lines[token.start[0] - 1]
            lines[token.start[0] - 1] = line[: token.start[1]] + new[token.string] + line[token.end[1] :]
    return "\n".join(lines)


def recommented(text: str, draw: random.Random) -> str:
    """The function with other comments, one at every fourth line, and another docstring."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]] + "# something else altogether"
    strings, others = statements(text)
    for node in strings:
        lines[node.lineno - 1] = " " * node.col_offset + f'"""Another {draw.random()} text\n\n    of two lines."""'
        lines[node.lineno : node.end_lineno] = [""] * (node.end_lineno - node.lineno)
    for node in others:
        if draw.random() < 0.25:
            lines[node.lineno - 1] = f"{' ' * node.col_offset}# note {draw.random()}\n" + lines[node.lineno - 1]
    return "\n".join(lines)


def moved(text: str, most: int) -> str:
    """The function with up to so many pairs of neighbouring statements swapped that share no name."""
    lines = text.splitlines()
    found = [node for node in statements(text)[1] if node.lineno == node.end_lineno and isinstance(node, SIMPLE[:4])]
    names = {node: {name.id for name in ast.walk(node) if isinstance(name, ast.Name)} for node in found}
    pairs = [(a, b) for a, b in pairwise(found) if (a.lineno + 1, a.col_offset) == (b.lineno, b.col_offset)]
    for line in [one.lineno for one, other in pairs if not names[one] & names[other]][: 2 * most : 2]:
        lines[line - 1 : line + 1] = lines[line], lines[line - 1]
    return "\n".join(lines)


def edited(text: str, share: float, foreign: list[str], draw: random.Random) -> str:
    """The function with this share of its statements deleted or, as often, a foreign one set before them."""
    lines = text.splitlines()
    found = statements(text)[1]
    for node in draw.sample(found, max(1, round(share * len(found)))):
        if draw.random() < 0.5:
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
        else:
            lines[node.lineno - 1] = f"{' ' * node.col_offset}{draw.choice(foreign)}\n{lines[node.lineno - 1]}"
    return "\n".join(lines)


def measure(name: str, pairs: list[tuple[str, str]], unrelated: list[str], threshold: float) -> None:
    """Cluster the pairs and the unrelated functions together, and print one row of the table."""
    texts = [text for pair in pairs for text in pair] + unrelated
    first = clusters(np.frombuffer(b"".join(map(signature, texts)), np.uint32).reshape(len(texts), -1), threshold)
    exact = np.array([jaccard(*pair) for pair in pairs])
    found, alike = first[: 2 * len(pairs) : 2] == first[1 : 2 * len(pairs) : 2], exact >= threshold
    row = [len(pairs), *([exact.mean(), alike.mean(), found[alike].mean(), found.mean()] if pairs else [""] * 4)]
    reported = np.array([jaccard(texts[one], texts[other]) for other, one in enumerate(first) if one != other])
    row += [len(reported), *[(reported >= least).mean() for least in (threshold, threshold - 0.1)], reported.min()]
    print(f"{name:24}" + "".join(f"{cell:>10.3f}" if isinstance(cell, float) else f"{cell:>10}" for cell in row))


def speed(texts: list[str], count: int) -> None:
    """Print what signatures and clusters cost, with copies of every likeness above 0.4."""
    start = time.perf_counter()
    some = np.frombuffer(b"".join(map(signature, texts)), np.uint32).reshape(len(texts), -1)
    rate = sum(len(text.encode()) for text in texts) / (time.perf_counter() - start) / 1e6
    draw = np.random.default_rng(0)
    many = some[draw.integers(0, len(texts), count)]
    changed = draw.random(many.shape) < draw.random((count, 1)) * 0.6
    many[changed] = draw.integers(0, 1 << 32, changed.sum(), dtype=np.uint32)
    start = time.perf_counter()
    clusters(many)
    print(f"{rate:.1f} MB/s on one core; {count:,} documents in {time.perf_counter() - start:.2f} s,", end=" ")
    tracemalloc.start()
    clusters(many)
    print(f"{tracemalloc.get_traced_memory()[1] / count:.0f} bytes each")


def main() -> None:
    """Read the command line, plant, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--originals", type=int, default=2000, help="functions that get a copy (2000)")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help=f"Jaccard of near duplicates ({THRESHOLD})")
    options = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as directory:
        texts = [document.text for document in collect(stdlib.Config(unit="function"), Path(directory)).documents]
    originals = draw.sample([text for text in texts if len(tokens(text)) >= 40], options.originals)
    unrelated = sorted(set(texts) - set(originals))
    foreign = [ast.unparse(node) for text in unrelated[::10] for node in statements(text)[1]]
    kinds = {f"{share}% of names": partial(renamed, share=share / 100, draw=draw) for share in (20, 50, 100)}
    kinds["comments and docstrings"] = partial(recommented, draw=draw)
    kinds |= {f"up to {most} swaps": partial(moved, most=most) for most in (1, 3)}
    kinds |= {f"{s}% of statements": partial(edited, share=s / 100, foreign=foreign, draw=draw) for s in (5, 10, 20)}
    print(f"{len(originals):,} originals, {len(unrelated):,} unrelated functions, threshold {options.threshold}")
    columns = ["copies", "jaccard", "alike", "recall", "found", "reported", "precision", "less 0.1", "lowest"]
    print(f"{'copies with edited':24}" + "".join(f"{column:>10}" for column in columns))
    for name, copy in kinds.items():
        pairs = [(text, copy(text)) for text in originals]
        measure(name, [pair for pair in pairs if pair[0] != pair[1]], unrelated, options.threshold)
    measure("none: as found", [], texts, options.threshold)
    speed(texts, 200_000)


if __name__ == "__main__":
    main()
