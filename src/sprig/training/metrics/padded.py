"""The figures as the seed's table counts them, over all positions: shown beside the honest ones, never instead.

A model trained on padding guesses it with a loss of next to nothing once end of text is past, so padding adds
positions and hits but no loss.
"""

from torch import Tensor

from sprig.training.metrics.ratio import Ratio, TokenScores


class PaddedLoss(Ratio):
    """Cross-entropy in nats a position, each padding position at no loss."""

    name = "padded_loss"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Nats over positions."""
        return scores.nats.sum(), scores.positions


class PaddedAccuracy(Ratio):
    """The part of positions guessed right, each padding position among them."""

    name = "padded_accuracy"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Right guesses and padding over positions."""
        return scores.correct.sum() + scores.positions - scores.counted.sum(), scores.positions
