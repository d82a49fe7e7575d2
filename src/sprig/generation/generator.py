"""Continues code: prompts in, completions out, token by token with a cache of keys and values.

Every context opens with the token that every training row opens with. Completions whose prompts have
equally many tokens run side by side in one batch, so nothing is padded and no mask is needed. Each draws from
a generator of its own: what else is in the batch changes its logits by no more than a product's rounding.
"""

import time
from collections.abc import Generator as Steps
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from sprig.generation.cache import Cache
from sprig.generation.config import SamplingConfig
from sprig.generation.prediction_trace import PredictionTrace
from sprig.generation.sampling import choose, generator_for
from sprig.model.transformer import Transformer
from sprig.trace.records import Generation

_BROKEN = "\ufffd"  # what decode shows for bytes that are no character, or not yet


class Tokenizer(Protocol):
    """What generation asks of a tokenizer; bytes that are no UTF-8 decode to U+FFFD."""

    @property
    def opening(self) -> int:
        """The id that opens every context."""
        ...

    @property
    def end_of_text(self) -> int:
        """The id that ends a completion."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone, no special token among them."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of ids, special tokens left out."""
        ...

    def tokens(self, ids: list[int]) -> list[str]:
        """Each id as text for people to read."""
        ...


@dataclass
class _Row:
    """One completion under way."""

    prompt_ids: list[int]
    chance: torch.Generator
    result: Generation

    @property
    def ids(self) -> list[int]:
        return self.prompt_ids + self.result.token_ids


class Generator:
    """Generates with a model and its tokenizer; batch_size bounds the completions that run at once.

    The model computes in the type of its weights. It is in eval mode meanwhile and then as it was before.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, batch_size: int = 64) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.batch_size = batch_size

    def generate(self, prompts: Sequence[str], config: SamplingConfig, trace: bool = False) -> list[Generation]:
        """config.num_samples completions of each prompt, in the order of the prompts.

        token_ids are all generated tokens, the end of text that stopped them included. stop_reason is "end of
        text", "max_new_tokens" or "context full": the model's last position has been read. tokens_per_second
        are the new tokens of all completions of a batch, by the seconds that it took, reading the prompts
        included. With trace, tokens holds what was behind each token.

        ValueError if a prompt is empty or has more tokens than the context (nothing is cut), if an option is
        out of its range, or if the model's logits are not finite.
        """
        assert not isinstance(prompts, str), "prompts is a sequence of texts"
        return self._complete(self._rows(prompts, config), config, trace)

    def stream(self, prompt: str, config: SamplingConfig) -> Steps[str, None, Generation]:
        """The completion of one prompt in pieces, each as soon as it is final; its Generation is returned.

        A character whose bytes are spread over several tokens comes whole. The pieces add up to what
        `generate` gives for this prompt. Until the last one the model is in eval mode and the clock of
        tokens_per_second runs.
        """
        if config.num_samples != 1:
            raise ValueError(f"num_samples={config.num_samples}: one completion at a time can be streamed.")
        [row] = self._rows([prompt], config)
        return self._stream(row, config)

    def _stream(self, row: _Row, config: SamplingConfig) -> Steps[str, None, Generation]:
        shown = 0
        started = time.perf_counter()
        for _ in self._steps([row], config, trace=False):
            text = self._completion(row)
            final = text if row.result.stop_reason else text.rstrip(_BROKEN)
            if len(final) > shown:
                yield final[shown:]
                shown = len(final)
        self._finish([row], time.perf_counter() - started)
        return row.result

    def _rows(self, prompts: Sequence[str], config: SamplingConfig) -> list[_Row]:
        """Every completion that is asked for, after the checks of what was asked."""
        config.check()
        context = self.model.config.max_position_embeddings
        rows = []
        for number, prompt in enumerate(prompts):
            ids = self.tokenizer.encode(prompt)
            name = "prompt" if len(prompts) == 1 else f"prompt {number + 1} of {len(prompts)}"
            if not ids:
                raise ValueError(f"{name} is empty: give it the code that the model is to continue.")
            if 1 + len(ids) > context:
                raise ValueError(
                    f"{name} has {1 + len(ids)} tokens, with the opening token in front, but the model's "
                    f"context holds {context}: shorten it, it is not cut."
                )
            for sample in range(config.num_samples):
                result = Generation(prompt, completion="", token_ids=[], stop_reason="", tokens_per_second=0.0)
                rows.append(_Row(ids, generator_for(config.seed, number, sample), result))
        return rows

    def _complete(self, rows: list[_Row], config: SamplingConfig, trace: bool) -> list[Generation]:
        alike: dict[int, list[_Row]] = {}
        for row in rows:
            alike.setdefault(len(row.prompt_ids), []).append(row)
        for group in alike.values():
            for first in range(0, len(group), self.batch_size):
                batch = group[first : first + self.batch_size]
                started = time.perf_counter()
                for _ in self._steps(batch, config, trace):
                    pass
                self._finish(batch, time.perf_counter() - started)
        return [row.result for row in rows]

    def _finish(self, rows: list[_Row], seconds: float) -> None:
        tokens = sum(len(row.result.token_ids) for row in rows)
        for row in rows:
            row.result.completion = self._completion(row)
            row.result.tokens_per_second = tokens / seconds

    @torch.inference_mode()
    def _steps(self, rows: list[_Row], config: SamplingConfig, trace: bool) -> Iterator[None]:
        """Add a token to every row, and yield, until all have stopped. The prompts are equally long."""
        prompt_length = 1 + len(rows[0].prompt_ids)
        # The last token is guessed from a full context and never read, so there is room for one more.
        room = self.model.config.max_position_embeddings - prompt_length + 1
        limit = min(room, config.max_new_tokens or room)
        cache = Cache(self.model.config.num_hidden_layers, capacity=prompt_length + limit - 1)
        input_ids = [[self.tokenizer.opening, *row.prompt_ids] for row in rows]
        with ExitStack() as stack:
            stack.enter_context(_evaluating(self.model))
            listener = PredictionTrace(self.model, self.tokenizer.tokens) if trace else None
            if listener is not None:
                stack.enter_context(listener)
            while rows:
                logits = self._next_logits(input_ids, cache)
                chosen = choose(logits, config, [row.chance for row in rows])
                for row, id in zip(rows, chosen, strict=True):
                    row.result.token_ids.append(id)
                    row.result.stop_reason = self._stop_reason(row, config, room)
                if listener is not None:
                    texts = [self.tokenizer.decode(row.ids) for row in rows]
                    for row, token in zip(rows, listener.tokens(logits, config, chosen, texts), strict=True):
                        row.result.tokens.append(token)
                yield
                going = [number for number, row in enumerate(rows) if not row.result.stop_reason]
                if len(going) < len(rows):
                    cache.keep(going)
                rows = [rows[number] for number in going]
                input_ids = [row.result.token_ids[-1:] for row in rows]

    def _next_logits(self, input_ids: list[list[int]], cache: Cache) -> torch.Tensor:
        """(B, V), at the last position only: at every position of long prompts they would fill the memory."""
        hidden = self.model.model(torch.tensor(input_ids, device=self.model.device), cache)  # (B, T, D)
        logits: torch.Tensor = self.model.lm_head(hidden[:, -1])
        return logits

    def _stop_reason(self, row: _Row, config: SamplingConfig, room: int) -> str:
        new = row.result.token_ids
        if new[-1] == self.tokenizer.end_of_text:
            return "end of text"
        if len(new) == config.max_new_tokens:
            return "max_new_tokens"
        return "context full" if len(new) == room else ""

    def _completion(self, row: _Row) -> str:
        """What the new tokens add to the prompt's text; decoded alone, some would lose a leading space."""
        return self.tokenizer.decode(row.ids)[len(self.tokenizer.decode(row.prompt_ids)) :]


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode within, and then each module as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
