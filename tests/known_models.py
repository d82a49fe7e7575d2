"""A tokenizer of bytes, and models whose answer is known."""

from collections.abc import Sequence

import torch

from sprig.generation.generator import Generator
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer


class ByteTokenizer:
    """Each byte is a token; end of text comes after them."""

    opening = end_of_text = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(id for id in ids if id != self.end_of_text).decode("utf-8", errors="replace")

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return ["<end>" if id == self.end_of_text else self.decode([id]) for id in ids]


def successor_model(successors: dict[int, int], max_position_embeddings: int = 32) -> Transformer:
    """A model that is nearly sure of one successor for each token, whatever stands before it.

    Its layers add nothing; embeddings are one-hot, so the head holds the table of successors.
    """
    model = Transformer(
        ModelConfig(
            vocab_size=257,
            hidden_size=257,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=2,
            tie_word_embeddings=False,
            max_position_embeddings=max_position_embeddings,
        )
    )
    table = torch.zeros(257, 257)
    for token, successor in successors.items():
        table[successor, token] = 1.0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(257))
        model.lm_head.weight.copy_(table)
    return model.eval()


def successors_of(text: bytes) -> dict[int, int]:
    """Each byte of text to the next, the last one to end of text."""
    assert len(set(text)) == len(text), "a byte has one successor"
    return dict(zip(text, [*text[1:], ByteTokenizer.end_of_text], strict=True))


def writer(text: str, max_position_embeddings: int = 32) -> Generator:
    """A generator that, given the first character of text, writes the others and stops."""
    return Generator(successor_model(successors_of(text.encode("utf-8")), max_position_embeddings), ByteTokenizer())
