import pytest

from drawn import drawn
from sprig.trace.prediction import draw_prediction
from sprig.trace.records import Candidate, Generation, LayerTrace, TokenTrace


def candidates(*pairs: tuple[str, float]) -> list[Candidate]:
    return [Candidate(id, text, probability) for id, (text, probability) in enumerate(pairs)]


def traced(prompt_tokens: int = 3) -> Generation:
    likely = candidates(
        (" return", 0.62), ("\n    ", 0.3), ("[bold]", 0.05), ("x", 0.02), ("multiplication_table", 0.001)
    )
    token = TokenTrace(
        embedding_norms=[0.25] * prompt_tokens,
        layers=[LayerTrace(0, 3.25, likely[::-1]), LayerTrace(1, 12.5, likely)],
        softmax=likely,
        sampled_from=candidates((" return", 0.8), ("\n    ", 0.2)),
        chosen=likely[1],
        rank=2,
        text="def f(a):\n    ",
    )
    return Generation("def f(a):", "\n    ", [1], "max_new_tokens", 100.0, [token])


def test_a_token_is_traced_through_the_five_layers() -> None:
    assert drawn(draw_prediction(traced())) == (
        "Prediction trace\n"
        "  prompt          def f(a):\n"
        "\n"
        "  Token 1 of 1\n"
        "  1 embedding     3 tokens enter, norm 0.25 0.25 0.25\n"
        "  2 transformer   norm of the residual, what each layer would say (logit lens)\n"
        "    layer 0        3.25 'mult…able' <.01  'x'      0.02  '[bold]' 0.05  '\\n    ' 0.30  ' return'   0.62\n"
        "    layer 1       12.50 ' return'   0.62  '\\n    ' 0.30  '[bold]' 0.05  'x'      0.02  'mult…able' <.01\n"
        "  3 softmax             ' return'   0.62  '\\n    ' 0.30  '[bold]' 0.05  'x'      0.02  'mult…able' <.01\n"
        "  4 selection      from ' return'   0.80  '\\n    ' 0.20\n"
        "    chosen        '\\n    ': rank 2, probability 0.3000 in the softmax\n"
        "  5 sequence      def f(a):↵\n"
        "\n"
        "  stopped by      max_new_tokens"
    )


@pytest.mark.parametrize("width", [60, 80])
def test_no_candidate_is_lost_in_a_narrow_terminal(width: int) -> None:
    assert drawn(draw_prediction(traced()), width).count("'mult…able' <.01") == 3


def test_of_many_embedding_norms_the_last_are_shown() -> None:
    page = drawn(draw_prediction(traced(prompt_tokens=200)))
    assert "200 tokens enter, norm … " + " ".join(["0.25"] * 10) in page
    assert page.count("0.25") == 10


def test_an_untraced_generation_says_how_to_trace_it() -> None:
    assert "trace=true" in drawn(draw_prediction(Generation("def", " f", [1], "end of text", 1.0)))
