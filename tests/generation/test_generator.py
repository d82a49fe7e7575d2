"""Prompts in, completions out: stops, batches, seeds, streams and refusals."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from known_models import ByteTokenizer, successor_model, successors_of, writer
from random_models import SHAPES, random_model
from sprig.generation.config import SamplingConfig
from sprig.generation.generator import Generator
from sprig.trace.records import Generation

GREEDY = SamplingConfig()
MANY_LENGTHS = ["def add(a, b):", "x", "y", "class", "for i in", "clasp", "for j in", "z"]


def drawing(**options: Any) -> SamplingConfig:
    return SamplingConfig(**({"temperature": 1.0, "seed": 3} | options))


def pieces_of(generator: Generator, prompt: str, config: SamplingConfig) -> list[str]:
    return list(generator.stream(prompt, config))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prompt", ["a", "def add("])
def test_cached_generation_equals_reading_the_whole_text_for_each_token(shape: str, prompt: str) -> None:
    model = random_model(**SHAPES[shape])
    [result] = Generator(model, ByteTokenizer()).generate([prompt], GREEDY)
    ids = [256, *prompt.encode()]
    for token_id in result.token_ids:
        with torch.no_grad():
            assert token_id == model(torch.tensor([ids]))[0, -1].argmax()
        ids.append(token_id)
    assert len(ids) == 33  # the context and the token guessed from all of it


def test_a_completion_is_the_text_after_the_prompt_up_to_the_end_of_text() -> None:
    [result] = writer("abcdef").generate(["ab"], GREEDY)
    assert (result.prompt, result.completion, result.stop_reason) == ("ab", "cdef", "end of text")
    assert result.token_ids == [*b"cdef", 256]
    assert result.tokens_per_second > 0


def test_it_stops_after_max_new_tokens() -> None:
    [result] = writer("abcdef").generate(["a"], SamplingConfig(max_new_tokens=3))
    assert (result.completion, result.stop_reason) == ("bcd", "max_new_tokens")


def test_end_of_text_counts_as_a_new_token() -> None:
    [ended] = writer("abcd").generate(["a"], SamplingConfig(max_new_tokens=4))
    [stopped] = writer("abcd").generate(["a"], SamplingConfig(max_new_tokens=3))
    assert (ended.completion, ended.stop_reason) == ("bcd", "end of text")
    assert (stopped.completion, stopped.stop_reason) == ("bcd", "max_new_tokens")


@pytest.mark.parametrize("max_new_tokens", [None, 7, 100])
def test_it_stops_when_the_last_position_has_been_read(max_new_tokens: int | None) -> None:
    generator = Generator(successor_model({97: 97}, max_position_embeddings=8), ByteTokenizer())
    [result] = generator.generate(["aaa"], SamplingConfig(max_new_tokens=max_new_tokens))
    assert (result.completion, result.stop_reason) == ("aaaaa", "context full")


def test_a_prompt_that_fills_the_context_is_continued_by_one_token() -> None:
    [result] = writer("abcdef", max_position_embeddings=4).generate(["abc"], GREEDY)
    assert (result.completion, result.stop_reason) == ("d", "context full")


def test_the_last_token_that_fits_may_be_end_of_text() -> None:
    [result] = writer("abc", max_position_embeddings=4).generate(["abc"], GREEDY)
    assert (result.completion, result.stop_reason) == ("", "end of text")


def test_every_context_opens_with_end_of_text() -> None:
    model = random_model()
    contexts = []
    model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: contexts.append(inputs[0].tolist()))
    Generator(model, ByteTokenizer()).generate(["ab", "cd"], SamplingConfig(max_new_tokens=1))
    assert contexts == [[[256, 97, 98], [256, 99, 100]]]


def test_a_prompt_that_spells_a_special_token_does_not_stop() -> None:
    [spelt] = writer("?abc", max_position_embeddings=64).generate(["<|endoftext|>?"], GREEDY)
    assert (spelt.completion, spelt.stop_reason) == ("abc", "end of text")


def test_results_stand_in_the_order_of_the_prompts_samples_side_by_side() -> None:
    results = Generator(random_model(), ByteTokenizer()).generate(MANY_LENGTHS, drawing(num_samples=3))
    assert [result.prompt for result in results] == [prompt for prompt in MANY_LENGTHS for _ in range(3)]
    assert Generator(random_model(), ByteTokenizer()).generate([], GREEDY) == []


@pytest.mark.parametrize("config", [GREEDY, drawing(num_samples=3, top_p=0.9)], ids=["greedy", "drawn"])
def test_a_result_does_not_depend_on_the_batch(config: SamplingConfig) -> None:
    model = random_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[256] *= 3  # likelier to end, so that rows stop at different times
    whole = Generator(model, ByteTokenizer()).generate(MANY_LENGTHS, config)
    one_by_one = Generator(model, ByteTokenizer(), batch_size=1).generate(MANY_LENGTHS, config)
    assert [result.token_ids for result in whole] == [result.token_ids for result in one_by_one]
    assert len({len(result.token_ids) for result in whole if len(result.prompt) == 1}) > 2


def test_rows_that_stop_early_leave_the_others_undisturbed() -> None:
    chain = successors_of(b"abcdefghijkl")
    prompts = ["j", "a", "l", "e"]
    results = Generator(successor_model(chain), ByteTokenizer()).generate(prompts, GREEDY)
    assert [result.completion for result in results] == ["kl", "bcdefghijkl", "", "fghijkl"]


def test_a_seed_gives_the_same_text_again_and_another_seed_another() -> None:
    def texts(seed: int) -> list[str]:
        results = Generator(random_model(), ByteTokenizer()).generate(["a", "bc"], drawing(num_samples=2, seed=seed))
        return [result.completion for result in results]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert len(set(texts(1))) == 4


def test_asking_for_more_samples_leaves_the_first_ones_as_they_were() -> None:
    generator = Generator(random_model(), ByteTokenizer())
    few = generator.generate(["a", "bc"], drawing(num_samples=1))
    many = generator.generate(["a", "bc"], drawing(num_samples=3))
    assert [result.token_ids for result in few] == [result.token_ids for result in many[::3]]


def test_it_leaves_the_global_random_state_alone() -> None:
    generator = Generator(random_model(), ByteTokenizer())
    state = torch.get_rng_state()
    generator.generate(["a"], drawing())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_bfloat16_model_generates_from_its_own_cached_type() -> None:
    generator = Generator(random_model().bfloat16(), ByteTokenizer())
    [plain], [traced] = generator.generate(["ab"], drawing()), generator.generate(["ab"], drawing(), trace=True)
    assert plain.token_ids == traced.token_ids
    assert len(plain.token_ids) == len(traced.tokens) == 30


def test_dropout_is_off_meanwhile_and_every_module_is_then_as_it_was() -> None:
    model = random_model(attention_dropout=0.5).train()
    model.model.norm.eval()
    generator = Generator(model, ByteTokenizer())
    first, second = generator.generate(["ab"], GREEDY), generator.generate(["ab"], GREEDY)
    assert first[0].token_ids == second[0].token_ids
    assert [module for module in model.modules() if not module.training] == [model.model.norm]


def test_the_mode_is_restored_after_an_error_and_after_a_stream_that_is_left() -> None:
    model = random_model().train()
    stream = Generator(model, ByteTokenizer()).stream("a", GREEDY)
    next(stream)
    stream.close()
    assert model.training
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="nan or infinite"):
        Generator(model, ByteTokenizer()).generate(["a"], GREEDY)
    assert model.training


def test_no_gradient_is_kept_and_the_reader_of_a_stream_is_not_in_inference_mode() -> None:
    model = random_model().train()
    inside = []
    hook = model.lm_head.register_forward_hook(lambda *_: inside.append(torch.is_inference_mode_enabled()))
    for _ in Generator(model, ByteTokenizer()).stream("a", SamplingConfig(max_new_tokens=3)):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
    assert inside == [True, True, True]
    hook.remove()
    model(torch.tensor([[1, 2]])).sum().backward()
    assert model.lm_head.weight.grad is not None


def test_a_character_spread_over_tokens_is_streamed_whole() -> None:
    text = "aé→😀\n"
    assert pieces_of(writer(text), "a", GREEDY) == ["é", "→", "😀", "\n"]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 6])
def test_a_character_that_never_ends_is_shown_as_broken_by_stream_and_generate_alike(cut: int) -> None:
    config = SamplingConfig(max_new_tokens=cut)
    [result] = writer("aé→\n").generate(["a"], config)
    assert "".join(pieces_of(writer("aé→\n"), "a", config)) == result.completion
    assert result.completion == "aé→\n".encode()[1 : 1 + cut].decode(errors="replace")


def test_broken_bytes_inside_a_text_are_streamed_once_something_follows() -> None:
    generator = Generator(successor_model(successors_of(b"a\xe2b\xffc")), ByteTokenizer())
    assert pieces_of(generator, "a", GREEDY) == ["\ufffdb", "\ufffdc"]


@pytest.mark.parametrize("prompt", ["a", "é", "\ufffd", "a\ufffd"])
def test_stream_adds_up_to_generate(prompt: str) -> None:
    generator = Generator(random_model(), ByteTokenizer())
    for seed in range(5):
        [result] = generator.generate([prompt], drawing(seed=seed))
        assert "".join(pieces_of(generator, prompt, drawing(seed=seed))) == result.completion


def test_stream_returns_the_generation() -> None:
    def reader() -> Iterator[str]:
        results.append((yield from writer("abc").stream("a", GREEDY)))

    results: list[Generation] = []
    assert "".join(reader()) == "bc"
    assert (results[0].completion, results[0].stop_reason) == ("bc", "end of text")


def test_an_empty_prompt_is_refused() -> None:
    generator = writer("ab")
    for ask in (
        lambda: generator.generate([""], GREEDY),
        lambda: generator.stream("", GREEDY),
    ):
        with pytest.raises(ValueError, match="prompt is empty"):
            ask()
    with pytest.raises(ValueError, match="prompt 2 of 3 is empty"):
        generator.generate(["a", "", "b"], GREEDY)


def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match=r"prompt has 9 tokens.* context holds 8: .*not cut"):
        writer("ab", max_position_embeddings=8).generate(["x" * 8], GREEDY)


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1.0}, {"top_p": 0.0}, {"top_k": 0}, {"max_new_tokens": 0}, {"num_samples": 0}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        writer("ab").generate(["a"], drawing(**options))


def test_only_one_completion_is_streamed() -> None:
    with pytest.raises(ValueError, match="num_samples=2"):
        writer("ab").stream("a", SamplingConfig(num_samples=2))
