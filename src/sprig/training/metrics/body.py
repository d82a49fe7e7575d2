"""The figures over what follows a function's header, end of text included: what generation has to get right."""

from torch import Tensor

from sprig.training.metrics.ratio import Ratio, TokenScores


class BodyLoss(Ratio):
    """Cross-entropy of the body in nats a token."""

    name = "body_loss"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Nats of body tokens over body tokens."""
        return (scores.nats * scores.body).sum(), scores.body.sum()


class BodyAccuracy(Ratio):
    """The part of body tokens that the model's likeliest guess gets right."""

    name = "body_accuracy"

    def terms(self, scores: TokenScores) -> tuple[Tensor, Tensor]:
        """Right guesses among body tokens over body tokens."""
        return (scores.correct & scores.body).sum(), scores.body.sum()
