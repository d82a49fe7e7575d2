import math

import pytest
import torch
from torch.nn import functional as F

from sprig.data.loading import IGNORED, Batch
from sprig.training.metrics import Metrics

PADDED = ["padded_loss", "padded_accuracy"]
NAMES = [*PADDED, "loss", "accuracy", "perplexity", "bits_per_byte", "body_loss", "body_accuracy"]
V = 11
BYTES = [0, 0, *range(1, V - 1)]  # ids 0 and 1 are special tokens


def batch(seed: int, rows: int = 3, width: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, width, V, generator=generator)
    targets = torch.randint(1, V, (rows, width), generator=generator)
    targets[0, 4:] = IGNORED
    return logits, targets, torch.randint(0, 2, (rows, width), generator=generator).bool()


def measured(*batches, trimmed: int = 0) -> dict[str, float]:
    metrics = Metrics(NAMES, BYTES)
    for each in batches:
        logits, targets, body = each
        counted = int((targets != IGNORED).sum())
        metrics.update(
            logits,
            Batch(targets, targets, body, tokens=counted, all_tokens=counted, positions=targets.numel() + trimmed),
        )
    return metrics.compute()


def test_figures_are_those_of_the_definition():
    logits, targets, body = batch(0)
    known = targets != IGNORED
    nats = F.cross_entropy(logits[known], targets[known], reduction="none")
    right = logits[known].argmax(-1) == targets[known]
    of_body = body[known]
    figures = measured((logits, targets, body))
    assert figures["loss"] == pytest.approx(nats.mean().item(), rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(nats.mean().item()), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(right.float().mean().item())
    total_bytes = sum(BYTES[target] for target in targets[known].tolist())
    assert figures["bits_per_byte"] == pytest.approx(nats.sum().item() / math.log(2) / total_bytes, rel=1e-5)
    assert figures["body_loss"] == pytest.approx(nats[of_body].mean().item(), rel=1e-5)
    assert figures["body_accuracy"] == pytest.approx(right[of_body].float().mean().item())


def test_what_stands_at_padding_changes_nothing():
    logits, targets, body = batch(1)
    other = logits.clone()
    other[targets == IGNORED] = 99.0
    assert measured((logits, targets, body)) == measured((other, targets, body | (targets == IGNORED)))


def test_batches_of_different_size_count_by_their_tokens():
    one, two = batch(2, rows=1), batch(3, rows=5)
    both = tuple(torch.cat(parts) for parts in zip(one, two, strict=True))
    assert measured(one, two) == pytest.approx(measured(both), rel=1e-5)


def test_body_figures_are_left_out_where_there_is_no_body():
    logits, targets, body = batch(4)
    assert set(measured((logits, targets, torch.zeros_like(body)))) == set(NAMES) - {"body_loss", "body_accuracy"}


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'accurracy', which is no metric. There are: accuracy, bits_per_byte"):
        Metrics(["accurracy"], BYTES)


def test_counting_padding_flatters_and_says_by_how_much():
    one = batch(5)
    figures = measured(one, trimmed=12)
    tokens, positions = 16, 18 + 12  # of 3 rows of 6 two targets are padding, and 4 positions of each row were trimmed
    assert figures["padded_loss"] == pytest.approx(figures["loss"] * tokens / positions)
    right = figures["accuracy"] * tokens
    assert figures["padded_accuracy"] == pytest.approx((right + positions - tokens) / positions)


def test_a_diverged_model_has_figures_that_say_so():
    logits, targets, body = batch(6)
    assert math.isnan(measured((logits * math.nan, targets, body))["loss"])
