"""The honest figures over whole documents: every token counts once, padding never."""

import math

from torch import Tensor

from sprig.training.metrics.ratio import Ratio, TokenScores


class Loss(Ratio):
    """Cross-entropy in nats a token."""

    name = "loss"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Nats over tokens."""
        return scores.nats.sum(), scores.counted.sum()


class Perplexity(Loss):
    """exp(loss): among how many equally likely tokens the model hesitates."""

    name = "perplexity"

    def compute(self) -> Tensor:
        """The ratio's exponential."""
        return super().compute().exp()


class Accuracy(Ratio):
    """The part of tokens that the model's likeliest guess gets right."""

    name = "accuracy"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Right guesses over tokens."""
        return scores.correct.sum(), scores.counted.sum()


class BitsPerByte(Ratio):
    """Total nats / ln 2 / UTF-8 bytes of the text: comparable between vocabularies, and with compressors."""

    name = "bits_per_byte"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Bits, those of end of text among them, over bytes, to which special tokens add none."""
        return scores.nats.sum() / math.log(2), scores.bytes.sum()
