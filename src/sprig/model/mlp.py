"""The position-wise network of a layer: SwiGLU (Shazeer 2020, arXiv:2002.05202)."""

from torch import Tensor, nn
from torch.nn import functional as F

from sprig.model.config import ModelConfig


class MLP(nn.Module):
    """A gated network, D -> F -> D, at each position on its own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        output: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return output
