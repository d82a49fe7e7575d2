"""The trace says what the model did, and does not change it."""

from typing import Any

import pytest
import torch

from known_models import ByteTokenizer, writer
from random_models import random_model
from sprig.generation.config import SamplingConfig
from sprig.generation.generator import Generator
from sprig.generation.prediction_trace import PredictionTrace
from sprig.generation.sampling import distribution
from sprig.trace.records import Generation

DRAWN = SamplingConfig(temperature=1.2, top_k=20, top_p=0.9, seed=4, num_samples=2)
PROMPTS = ["def f(", "x", "y", "é"]


def traced(config: SamplingConfig, **overrides: Any) -> list[Generation]:
    return Generator(random_model(**overrides), ByteTokenizer()).generate(PROMPTS, config, trace=True)


@pytest.mark.parametrize("config", [SamplingConfig(), DRAWN], ids=["greedy", "drawn"])
def test_traced_generation_gives_the_tokens_of_untraced_generation(config: SamplingConfig) -> None:
    untraced = Generator(random_model(), ByteTokenizer()).generate(PROMPTS, config)
    assert [result.token_ids for result in traced(config)] == [result.token_ids for result in untraced]
    assert all(not result.tokens for result in untraced)


@pytest.mark.parametrize("tied", [True, False])
def test_the_lens_after_the_last_layer_is_the_models_own_softmax(tied: bool) -> None:
    for result in traced(DRAWN, tie_word_embeddings=tied):
        for token in result.tokens:
            last = token.layers[-1].guesses
            assert [guess.id for guess in last] == [guess.id for guess in token.softmax]
            assert [guess.probability for guess in last] == pytest.approx(
                [guess.probability for guess in token.softmax], abs=1e-6
            )


def test_every_number_is_what_reading_the_whole_text_gives() -> None:
    model = random_model()
    decoder = model.model
    [result] = Generator(model, ByteTokenizer()).generate(
        ["abc"], SamplingConfig(temperature=1.2, top_k=20, top_p=0.9, max_new_tokens=6), trace=True
    )
    ids = [256, *b"abc"]
    for step, (token, id) in enumerate(zip(result.tokens, result.token_ids, strict=True)):
        with torch.no_grad():
            x = decoder.embed_tokens(torch.tensor([ids]))
            entered = x[0] if step == 0 else x[0, -1:]
            assert token.embedding_norms == pytest.approx(entered.norm(dim=-1).tolist(), abs=1e-4)
            for number, (layer, layer_trace) in enumerate(zip(decoder.layers, token.layers, strict=True)):
                x = layer(x, decoder.rotary(0, len(ids), x.dtype), None)
                lens = model.lm_head(decoder.norm(x[0, -1])).softmax(-1)
                assert layer_trace.layer == number
                assert layer_trace.residual_norm == pytest.approx(float(x[0, -1].norm()), abs=1e-4)
                assert [g.id for g in layer_trace.guesses] == lens.topk(5).indices.tolist()
                assert [g.probability for g in layer_trace.guesses] == pytest.approx(
                    lens.topk(5).values.tolist(), abs=1e-5
                )
            logits = model(torch.tensor([ids]))[:, -1]
        softmax = logits[0].softmax(-1)
        sampled_from = distribution(logits, SamplingConfig(temperature=1.2, top_k=20, top_p=0.9))[0]
        assert [g.probability for g in token.softmax] == pytest.approx(softmax.topk(5).values.tolist(), abs=1e-5)
        assert [g.probability for g in token.sampled_from] == pytest.approx(
            sampled_from.topk(len(token.sampled_from)).values.tolist(), abs=1e-5
        )
        assert token.chosen.id == id
        assert token.chosen.probability == pytest.approx(float(softmax[id]), abs=1e-5)
        assert token.rank == softmax.argsort(descending=True).tolist().index(id) + 1
        ids.append(id)
        assert token.text == ByteTokenizer().decode(ids)


def test_greedy_draws_from_one_candidate_of_rank_one() -> None:
    for result in traced(SamplingConfig(max_new_tokens=4)):
        for token in result.tokens:
            assert token.rank == 1
            assert [(g.id, g.probability) for g in token.sampled_from] == [(token.chosen.id, 1.0)]
            assert token.chosen == token.softmax[0]


def test_the_end_of_text_is_traced_by_its_name_and_adds_no_text() -> None:
    [result] = writer("abc").generate(["a"], SamplingConfig(), trace=True)
    assert [token.chosen.text for token in result.tokens] == ["b", "c", "<end>"]
    assert [token.text for token in result.tokens] == ["ab", "abc", "abc"]


def test_no_hook_stays_on_the_model_even_after_an_error() -> None:
    model = random_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="nan"):
        Generator(model, ByteTokenizer()).generate(["a"], SamplingConfig(), trace=True)
    assert not any(module._forward_hooks for module in model.modules())


def test_equal_logits_rank_by_id() -> None:
    model = random_model()
    logits = torch.zeros(1, 257)
    logits[0, 9] = 1.0
    with torch.no_grad(), PredictionTrace(model, ByteTokenizer().tokens) as trace:
        model(torch.tensor([[1]]))
        ranks = [trace.tokens(logits, SamplingConfig(temperature=1.0), [id], [""])[0].rank for id in (9, 0, 8, 10, 256)]
    assert ranks == [1, 2, 10, 11, 257]
