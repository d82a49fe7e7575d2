"""The model alone: what it may look at, and where it starts."""

import math

import pytest
import torch
from torch.nn import functional as F

from random_models import SHAPES, random_model
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer


@pytest.mark.parametrize("shape", SHAPES)
def test_future_tokens_never_change_earlier_logits(shape: str) -> None:
    model = random_model(**SHAPES[shape])
    ids = torch.randint(257, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = model(ids)
        for position in (1, 7, 19):
            changed = ids.clone()
            changed[:, position:] = (changed[:, position:] + 101) % 257
            after = model(changed)
            torch.testing.assert_close(after[:, :position], before[:, :position], rtol=0, atol=1e-6)
            assert not torch.allclose(after[:, position], before[:, position])


@pytest.mark.parametrize("shape", SHAPES)
def test_earlier_tokens_change_every_later_logit(shape: str) -> None:
    model = random_model(**SHAPES[shape])
    ids = torch.randint(257, (1, 20), generator=torch.Generator().manual_seed(1))
    changed = ids.clone()
    changed[0, 0] = (changed[0, 0] + 101) % 257
    with torch.no_grad():
        difference = (model(changed) - model(ids)).abs().amax(dim=-1)
    assert difference.min() > 1e-4


def test_the_order_of_earlier_tokens_matters_to_a_single_layer() -> None:
    model = random_model(num_hidden_layers=1)  # a second layer would see the order even without positions
    with torch.no_grad():
        assert not torch.allclose(model(torch.tensor([[5, 6, 7]]))[0, -1], model(torch.tensor([[6, 5, 7]]))[0, -1])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("hidden_size", "num_hidden_layers", "vocab_size"),
    [(64, 2, 512), (128, 4, 1024), (256, 6, 4096), (768, 2, 8192)],
)
def test_a_fresh_model_guesses_evenly(hidden_size: int, num_hidden_layers: int, vocab_size: int, tied: bool) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=hidden_size // 32,
        num_key_value_heads=hidden_size // 32,
        tie_word_embeddings=tied,
    )
    ids = torch.randint(vocab_size, (4, 51))
    with torch.no_grad():
        logits = Transformer(config)(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    assert float(loss) == pytest.approx(math.log(vocab_size), rel=0.05)


def test_one_batch_can_be_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=64, hidden_size=32, intermediate_size=64, head_dim=8))
    ids = torch.randint(64, (4, 17))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(150):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def learnt(model: Transformer) -> tuple[float, list[torch.Tensor], int]:
    """The loss of a batch, its gradients, and the bytes that were kept for them."""
    kept = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    ids = torch.randint(257, (4, 33), generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)  # of dropout
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    return loss.item(), list(torch.autograd.grad(loss, list(model.parameters()))), kept


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activation_checkpointing_keeps_a_fraction_and_learns_the_same(dropout: float) -> None:
    model = random_model(attention_dropout=dropout).train()
    loss, gradients, kept = learnt(model)
    model.model.activation_checkpointing = True
    again, same, fewer = learnt(model)
    assert again == loss and all(torch.equal(a, b) for a, b in zip(gradients, same, strict=True))
    assert fewer < kept / 4


def test_only_training_is_checkpointed() -> None:
    model = random_model()
    kept = learnt(model)[2]
    model.model.activation_checkpointing = True
    assert learnt(model)[2] == kept


def test_tied_weights_are_one_tensor_counted_once() -> None:
    tied, untied = random_model(tie_word_embeddings=True), random_model(tie_word_embeddings=False)
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    assert untied.num_parameters - tied.num_parameters == 257 * 32


def test_rotary_tables_are_not_part_of_a_checkpoint() -> None:
    assert not [name for name in random_model().state_dict() if "rotary" in name]


@pytest.mark.parametrize(("narrow", "between"), [(torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)])
def test_under_autocast_layers_hand_on_bfloat16_but_never_float16(narrow: torch.dtype, between: torch.dtype) -> None:
    model = random_model()
    handed_on: set[torch.dtype] = set()
    for layer in model.model.layers:
        layer.register_forward_hook(lambda _, __, output: handed_on.add(output.dtype))
    ids = torch.randint(257, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = model(ids)
        handed_on.clear()
        with torch.autocast("cpu", narrow):
            rounded = model(ids).float()
    assert handed_on == {between}
    assert (rounded - exact).abs().max() < 0.05 * exact.abs().max()
