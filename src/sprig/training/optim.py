"""Muon for the matrices inside the layers, AdamW for everything else, in one optimiser.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest
semi-orthogonal matrix, so that all directions are learnt at one pace. Matrices of equal shape are stacked and
orthogonalised together: on small models the time goes into calls, not into arithmetic.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from sprig.training.config import OptimConfig

# One odd polynomial a x + b x^3 + c x^5 after the other (Amsel et al. 2025, arXiv:2505.16932): each is the one that
# brings singular values nearest to 1 in the worst case, given what the one before has left of [0.003, 1]. After the
# last they are in [0.8, 1.2]; Jordan's five equal ones leave them in [0.7, 1.2].
_QUINTICS = (
    (8.3837, -24.7659, 18.3571),
    (4.0434, -3.0114, 0.5695),
    (3.5056, -2.6267, 0.5257),
    (2.4901, -1.8343, 0.4368),
)
_MARGIN = 1.01  # what rounding in bfloat16 may lift above a polynomial's range, beyond which it grows fast


def orthogonalise(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring the singular values of stacked matrices (N, rows, columns) near 1, computing in dtype."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(dtype)
    x = x / (_MARGIN * x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for a, b, c in _QUINTICS:
        gram = x @ x.mT  # (N, rows, rows)
        quadratic = torch.baddbmm(gram, gram, gram, beta=b / _MARGIN**3, alpha=c / _MARGIN**5)
        x = torch.baddbmm(x, quadratic, x, beta=a / _MARGIN)
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """Muon on parameter groups with muon=True, PyTorch's AdamW on the others.

    Each group has lr and weight_decay (decoupled: a step takes lr * weight_decay off), and momentum or betas.
    Muon's update of a matrix is scaled by sqrt(max(1, rows / columns)), so that one lr serves all shapes.
    """

    def __init__(self, groups: list[dict[str, Any]], dtype: torch.dtype = torch.float32) -> None:
        """dtype is what the orthogonalisation is computed in; bfloat16 is enough (Jordan et al.)."""
        super().__init__(groups, {"eps": 1e-10, "fused": True})  # loading a state leaves steps on the device for that
        self.dtype = dtype
        self.found_inf: Tensor | None = None
        """A float32 scalar on the parameters' device, if there: where it is 1, a step leaves all as it is.

        That is what GradScaler means by the name. The processor need not know it: it does not wait for a GPU.
        """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._muon if group["muon"] else self._adamw)(group, parameters)
        return loss

    def _muon(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        by_shape: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            by_shape[parameter.shape].append(parameter)
        for (rows, columns), alike in by_shape.items():
            gradients = _gradients(alike)
            momenta = [self._state_of(parameter, "momentum_buffer") for parameter in alike]
            if self.found_inf is not None:  # a gradient that equals the momentum does not change it
                bad = self.found_inf.bool()
                gradients = [torch.where(bad, *pair) for pair in zip(momenta, gradients, strict=True)]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            nesterov = torch._foreach_lerp(gradients, momenta, group["momentum"])
            updates = orthogonalise(torch.stack(list(nesterov)), self.dtype)
            decay = group["lr"] * group["weight_decay"]
            if self.found_inf is not None:
                updates, decay = updates * (1 - self.found_inf), decay * (1 - self.found_inf)
            torch._foreach_mul_(alike, 1 - decay)
            torch._foreach_add_(alike, updates.unbind(), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)

    def _adamw(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        adamw(
            parameters,
            _gradients(parameters),
            [self._state_of(parameter, "exp_avg") for parameter in parameters],
            [self._state_of(parameter, "exp_avg_sq") for parameter in parameters],
            [],
            [self._state_of(parameter, "step") for parameter in parameters],
            fused=True,
            found_inf=self.found_inf,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _state_of(self, parameter: Tensor, name: str) -> Tensor:
        """Zeros at first: as many as the parameter has numbers, but one for the step that it is at."""
        state = self.state[parameter]
        if name not in state:
            one = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state[name] = one if name == "step" else torch.zeros_like(parameter)
        tensor: Tensor = state[name]
        return tensor


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def build_optimizer(model: nn.Module, config: OptimConfig, dtype: torch.dtype = torch.float32) -> Muon:
    """Sort a Transformer's parameters into groups; weights are decayed, gains and biases are not."""
    inner: list[nn.Parameter] = []
    outer: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        side = vectors if parameter.dim() < 2 else inner if ".layers." in name else outer
        side.append(parameter)
    adamw = {"muon": False, "betas": tuple(config.betas)}
    outer_lr = config.adamw_lr if config.name == "muon" else config.lr
    groups = [
        {"params": inner, "lr": config.lr, "weight_decay": config.weight_decay}
        | ({"muon": True, "momentum": config.momentum} if config.name == "muon" else adamw),
        {"params": outer, "lr": outer_lr, "weight_decay": config.weight_decay} | adamw,
        {"params": vectors, "lr": outer_lr, "weight_decay": 0.0} | adamw,
    ]
    return Muon(groups, dtype)
