"""The prediction trace in the terminal: what lies behind each generated token, in five layers.

They are those of the page this project came from: embedding, transformer, softmax, selection, sequence.
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sprig.trace.console import AtLeast, labelled, one_line
from sprig.trace.records import Candidate, Generation, TokenTrace

_CANDIDATES = 5
_TOKEN_WIDTH = 12  # characters of a candidate's text, its quotes included
_NORMS = 10  # embedding norms in a line; of more, the last ones
_INDENT = 18  # where values start, right of the layers' names


def draw_prediction(generation: Generation) -> RenderableType:
    """Every token of a traced generation; where it was not traced, a line that says how to ask for it."""
    prompt = labelled("  prompt", one_line(generation.prompt), _INDENT)
    parts: list[RenderableType] = [Text("Prediction trace", "bold"), prompt]
    if not generation.tokens:
        return Group(*parts, Text("  not recorded: ask for it with trace=true"))
    for place, token in enumerate(generation.tokens, start=1):
        parts += [Text(), Text(f"  Token {place} of {len(generation.tokens)}", "bold"), *_draw_token(token)]
    return Group(*parts, Text(), labelled("  stopped by", generation.stop_reason, _INDENT))


def _draw_token(token: TokenTrace) -> list[RenderableType]:
    entered = len(token.embedding_norms)
    norms = " ".join(f"{norm:.2f}" for norm in token.embedding_norms[-_NORMS:])
    embedding = f"{entered} token{'s enter' if entered > 1 else ' enters'}, norm {'… ' if entered > _NORMS else ''}"
    choice = Text.assemble(
        (_quoted(token.chosen), "bold green"),
        f": rank {token.rank}, probability {token.chosen.probability:.4f} in the softmax",
    )
    return [
        labelled("  1 embedding", embedding + norms, _INDENT),
        labelled("  2 transformer", "norm of the residual, what each layer would say (logit lens)", _INDENT),
        AtLeast(110, _candidates(token)),
        labelled("    chosen", choice, _INDENT),
        labelled("  5 sequence", one_line(token.text), _INDENT),
    ]


def _candidates(token: TokenTrace) -> Table:
    """The likeliest tokens after each layer, in the softmax, and in what was drawn from."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=_INDENT - 1)
    table.add_column(justify="right", no_wrap=True)
    for _ in range(_CANDIDATES):
        table.add_column(no_wrap=True)
        table.add_column(style="dim", no_wrap=True)
    rows = [(f"    layer {each.layer}", f"{each.residual_norm:.2f}", each.guesses) for each in token.layers]
    rows += [("  3 softmax", "", token.softmax), ("  4 selection", "from", token.sampled_from)]
    for label, norm, candidates in rows:
        table.add_row(label, norm, *_cells(candidates, token.chosen))
    return table


def _cells(candidates: Sequence[Candidate], chosen: Candidate) -> list[Text]:
    """Text and probability of each candidate, the chosen one picked out."""
    cells = []
    for candidate in candidates[:_CANDIDATES]:
        cells.append(Text(_quoted(candidate), "bold green" if candidate.id == chosen.id else ""))
        cells.append(Text(f"{candidate.probability:.2f} " if candidate.probability >= 0.005 else "<.01 "))
    return cells


def _quoted(candidate: Candidate) -> str:
    """A token as Python would write it, so that spaces and newlines are seen; a long one loses its middle."""
    text = repr(candidate.text)
    half = (_TOKEN_WIDTH - 1) // 2
    return text if len(text) <= _TOKEN_WIDTH else f"{text[:half]}…{text[-half:]}"
