from copy import deepcopy

import pytest
import torch
from torch import nn

from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.config import OptimConfig
from sprig.training.optim import Muon, build_optimizer, orthogonalise


@pytest.mark.parametrize("shape", [(4, 16, 16), (2, 8, 32), (3, 32, 8), (1, 1, 5)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before = torch.linalg.svdvals(matrices / matrices.norm(dim=(1, 2), keepdim=True))
    values = torch.linalg.svdvals(orthogonalise(matrices, torch.float32))
    assert (values > 0.78).logical_or(before < 0.0031).all() and (values < 1.22).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smallest", [0.003, 1e-4])
def test_one_direction_among_many_faint_ones_does_not_run_away(smallest, dtype):
    u, values, v = torch.linalg.svd(torch.randn(1, 64, 80, generator=torch.Generator().manual_seed(2)), False)
    values[:] = smallest
    values[:, 0] = 1
    found = torch.linalg.svdvals(orthogonalise(u @ torch.diag_embed(values) @ v, dtype))
    assert found.max() < 1.25
    if smallest == 0.003 and dtype == torch.float32:
        assert found.min() > 0.75


def test_stacked_matrices_are_orthogonalised_each_on_its_own():
    matrices = torch.randn(3, 6, 10, generator=torch.Generator().manual_seed(1))
    together = orthogonalise(matrices, torch.float32)
    alone = torch.cat([orthogonalise(matrix[None], torch.float32) for matrix in matrices])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_matrix_without_a_gradient_signal_stays_finite():
    assert torch.isfinite(orthogonalise(torch.zeros(1, 4, 4), torch.bfloat16)).all()


def test_a_step_of_muon_is_that_of_its_formulas():
    """Nesterov's momentum as Jordan et al. have it, orthogonalised, scaled by the shape; decay by itself."""
    generator = torch.Generator().manual_seed(0)
    weight, momentum = torch.randn(12, 4, generator=generator), torch.zeros(12, 4)
    layer = nn.Linear(4, 12, bias=False)
    layer.weight.data.copy_(weight)
    group = {"params": list(layer.parameters()), "muon": True, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.5}
    optimizer = Muon([group])
    for _ in range(3):
        gradient = torch.randn(12, 4, generator=generator)
        layer.weight.grad = gradient.clone()
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        update = orthogonalise((0.1 * gradient + 0.9 * momentum)[None], torch.float32)[0]
        weight = weight * (1 - 0.1 * 0.5) - 0.1 * 3**0.5 * update
    assert torch.allclose(layer.weight, weight, atol=1e-5)


def test_adamw_groups_follow_torchs_own_adamw():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    settings = {"lr": 0.01, "betas": (0.9, 0.95), "weight_decay": 0.1}
    optimizers = [
        Muon([{"params": list(ours.parameters()), "muon": False, **settings}]),
        torch.optim.AdamW(theirs.parameters(), eps=1e-10, **settings),
    ]
    for _ in range(5):
        x = torch.randn(7, 5)
        for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            layer(x).pow(2).sum().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_every_parameter_is_in_one_group_and_only_inner_matrices_are_muons(name):
    model = Transformer(ModelConfig(num_hidden_layers=2))
    optimizer = build_optimizer(model, OptimConfig(name=name))
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())
    by_muon = {id(p) for group in optimizer.param_groups if group["muon"] for p in group["params"]}
    inner = {id(p) for key, p in model.named_parameters() if ".layers." in key and p.dim() == 2}
    assert by_muon == (inner if name == "muon" else set())
    undecayed = {id(p) for group in optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    assert undecayed == {id(p) for p in model.parameters() if p.dim() == 1}


def test_a_saved_state_continues_the_same_way():
    def steps(model: nn.Module, optimizer: Muon, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            sum(parameter.pow(2).sum() for parameter in model.parameters()).backward()
            optimizer.step()

    torch.manual_seed(0)
    config = ModelConfig(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=2, head_dim=4)  # fmt: skip
    straight = Transformer(config)
    optimizer = build_optimizer(straight, OptimConfig())
    steps(straight, optimizer, 3)
    resumed = Transformer(config)
    resumed.load_state_dict(straight.state_dict())
    again = build_optimizer(resumed, OptimConfig())
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    steps(straight, optimizer, 3)
    steps(resumed, again, 3)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))


def steps_of(model: nn.Module, optimizer: Muon, found: list[float | None]) -> None:
    """One step for each, with gradients that are not finite where 1 was found."""
    for number, bad in enumerate(found):
        generator = torch.Generator().manual_seed(number)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            if bad:
                parameter.grad.view(-1)[::2] = float("nan")
        optimizer.found_inf = None if bad is None else torch.tensor(bad)
        optimizer.step()


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_step_in_which_infinities_were_found_changes_nothing(name):
    config = ModelConfig(vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=2, head_dim=4)  # fmt: skip
    torch.manual_seed(0)
    first = Transformer(config)
    models = [first, deepcopy(first)]
    optimizers = [build_optimizer(model, OptimConfig(name=name, weight_decay=0.1)) for model in models]
    steps_of(models[0], optimizers[0], [None, None])
    steps_of(models[1], optimizers[1], [0.0, 0.0])
    before = deepcopy(models[1].state_dict()), deepcopy(optimizers[1].state_dict())
    for key, weight in models[0].state_dict().items():
        assert torch.equal(weight, before[0][key]), key
    steps_of(models[1], optimizers[1], [1.0, 1.0])
    for key, weight in models[1].state_dict().items():
        assert torch.equal(weight, before[0][key]), key
    for number, state in optimizers[1].state_dict()["state"].items():
        for key, value in state.items():
            assert torch.equal(value, before[1]["state"][number][key]), (number, key)
