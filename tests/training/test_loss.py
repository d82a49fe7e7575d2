import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sprig.data.loading import IGNORED
from sprig.training import loss
from sprig.training.loss import LinearCrossEntropy, token_losses


def drawn(seed: int, tokens: int, vocabulary: int, dtype=torch.float64):
    """Hidden states (2, tokens, 8), weights and targets, of which some are padding."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(2, tokens, 8, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, 8, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, vocabulary, (2, tokens), generator=generator)
    targets[torch.rand(2, tokens, generator=generator) < 0.3] = IGNORED
    targets[0, 0] = 1
    return hidden, weight, targets


@settings(deadline=None)  # a busy machine is no failure
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 9),
    vocabulary=st.integers(2, 30),
    chunk=st.integers(1, 200),
    z_loss=st.sampled_from([0.0, 0.1]),
)
def test_value_and_gradients_are_those_of_cross_entropy_whatever_the_chunk(seed, tokens, vocabulary, chunk, z_loss):
    hidden, weight, targets = drawn(seed, tokens, vocabulary, torch.float32)
    logits = (hidden @ weight.T).flatten(0, 1)
    nats = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED)
    squares = logits.logsumexp(1)[targets.flatten() != IGNORED].square()
    expected = torch.autograd.grad(3 * (nats + z_loss * squares.mean()), (hidden, weight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "_CHUNK", chunk)
        found = LinearCrossEntropy(z_loss)(hidden, weight, targets)
        gradients = torch.autograd.grad(3 * found.total, (hidden, weight))
    torch.testing.assert_close(found.nats, nats.detach())
    torch.testing.assert_close(found.total, nats + z_loss * squares.mean())
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4)


def test_under_autocast_gradients_come_in_the_type_of_the_weights():
    hidden, weight, targets = drawn(0, 9, 30, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = LinearCrossEntropy()(hidden, weight, targets)
    gradients = torch.autograd.grad(found.total, (hidden, weight))
    exact = torch.autograd.grad(LinearCrossEntropy()(hidden, weight, targets).total, (hidden, weight))
    assert found.total.dtype == torch.float32
    for gradient, wanted in zip(gradients, exact, strict=True):
        assert gradient.dtype == torch.float32
        assert 0 < (gradient - wanted).norm() / wanted.norm() < 0.02  # bfloat16 it was


def test_logits_never_stand_in_memory_as_a_whole():
    hidden, weight, targets = drawn(0, 4000, 2000, torch.float32)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with Watch():
        LinearCrossEntropy()(hidden, weight, targets)
    assert largest <= loss._CHUNK < 8000 * 2000


def test_padding_has_no_loss_and_no_gradient():
    hidden, weight, targets = drawn(1, 9, 30, torch.float32)
    logits = hidden @ weight.T
    losses = token_losses(logits, targets)
    assert torch.equal(losses == 0, targets == IGNORED)
    torch.testing.assert_close(
        losses.sum() / (targets != IGNORED).sum(), LinearCrossEntropy()(hidden, weight, targets).nats
    )
    [gradient] = torch.autograd.grad(LinearCrossEntropy()(hidden, weight, targets).total, hidden)
    assert torch.equal(gradient.abs().sum(-1) == 0, targets == IGNORED)


def test_a_batch_of_nothing_but_padding_has_no_loss_and_no_gradient():
    hidden, weight, targets = drawn(2, 5, 30, torch.float32)
    found = LinearCrossEntropy(0.1)(hidden, weight, torch.full_like(targets, IGNORED))
    gradients = torch.autograd.grad(found.total, (hidden, weight))
    assert found.total == 0 and found.nats == 0 and not any(gradient.any() for gradient in gradients)


@pytest.mark.slow
def test_compiled_it_is_the_same_loss():
    hidden, weight, targets = drawn(3, 50, 300, torch.float32)
    plain, compiled = LinearCrossEntropy(0.1), LinearCrossEntropy(0.1)
    compiled.compile()
    found, wanted = compiled(hidden, weight, targets), plain(hidden, weight, targets)
    torch.testing.assert_close(found, wanted)
    for gradient, other in zip(
        torch.autograd.grad(found.total, (hidden, weight)),
        torch.autograd.grad(wanted.total, (hidden, weight)),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_of_thousands_of_targets_no_gradient_is_lost_in_a_narrow_type(dtype):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(16, 256, 8, generator=generator, requires_grad=True)
    weight = torch.randn(2000, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, 9, (16, 256), generator=generator)  # of the others each is pushed down a little
    exact = torch.autograd.grad(LinearCrossEntropy()(hidden, weight, targets).total, (hidden, weight))
    with torch.autocast("cpu", dtype):
        found = LinearCrossEntropy()(hidden, weight, targets)
    gradients = torch.autograd.grad(found.total * 2**16, (hidden, weight))  # as a scaler of gradients would have it
    for gradient, wanted in zip(gradients, exact, strict=True):
        rest = slice(9, None) if wanted is exact[1] else slice(None)
        assert (gradient[rest] / 2**16 - wanted[rest]).norm() / wanted[rest].norm() < 0.02
