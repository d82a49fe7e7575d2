"""The whole model, top to bottom. Names are Hugging Face's, so that its state_dict is a Qwen3 checkpoint.

Letters in shape comments, here and in the other files of this folder:
    B batch    T tokens (positions)    D hidden    H query heads    K key-value heads
    E head size    F intermediate    V vocabulary
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sprig.model.attention import Attention, KeyValueCache
from sprig.model.config import ModelConfig
from sprig.model.mlp import MLP
from sprig.model.norm import RMSNorm
from sprig.model.rotary import RotaryPositions


class Layer(nn.Module):
    """Attention, then the MLP, each added to the residual stream after a norm of its input."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], cache: KeyValueCache | None, visible: Tensor | None = None
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); visible as for Attention."""
        x = x + self.self_attn(self.input_layernorm(x), rotary, cache, visible)
        output: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return output


class Decoder(nn.Module):
    """Token ids to the last layer's normed hidden states."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.rotary = RotaryPositions(config)
        self.layers = nn.ModuleList(Layer(config, number) for number in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.activation_checkpointing = False
        """In training, keep what enters each layer and compute the rest again when the backward pass needs it."""

    def forward(self, input_ids: Tensor, cache: KeyValueCache | None = None, documents: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, T, D); documents as for Transformer."""
        x = self.embed_tokens(input_ids)  # (B, T, D)
        kind = x.device.type
        if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16:
            # Half the memory traffic between the matrix products. Not in float16: the stream grows beyond its range.
            x = x.to(torch.bfloat16)
        start = cache.length if cache is not None else 0
        rotary = self.rotary(start, input_ids.shape[1], x.dtype)
        visible = None
        if documents is not None:
            same = documents[:, None, :, None] == documents[:, None, None, :]  # (B, 1, T, T)
            visible = same.tril()
        for layer in self.layers:
            if self.activation_checkpointing and self.training:
                x = checkpoint(layer, x, rotary, cache, visible, use_reentrant=False)
            else:
                x = layer(x, rotary, cache, visible)
        output: Tensor = self.norm(x)
        return output


class Transformer(nn.Module):
    """A causal language model: the logits at position t are a guess at token t + 1."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh weights from the global generator, so that every layer starts as the identity.

        Projections that write into the residual stream start at zero (Zhang et al. 2019, arXiv:1901.09321), so
        the first guess depends on the last token's embedding alone. With tied embeddings that token's own logit
        is then D times the embeddings' deviation: keeping that product small keeps the first loss at ln V.
        """
        deviation = self.config.initializer_range
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "bias")):
                nn.init.zeros_(parameter)
            elif name.endswith("embed_tokens.weight"):
                nn.init.normal_(parameter, std=min(deviation, 2.5 / self.config.hidden_size))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=deviation)

    def forward(self, input_ids: Tensor, cache: KeyValueCache | None = None, documents: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of input_ids (B, T); with a cache, input_ids are the tokens after the stored ones.

        With documents (B, T), a position sees those before it that have its own number, and no others. Positions count
        on from the row's beginning: rotary embeddings know distances only.
        """
        logits: Tensor = self.lm_head(self.model(input_ids, cache, documents))
        return logits

    def hidden(self, input_ids: Tensor, documents: Tensor | None = None) -> Tensor:
        """What the head makes logits of, (B, T, D): for a loss that makes them itself, a few at a time."""
        states: Tensor = self.model(input_ids, documents=documents)
        return states

    @property
    def num_parameters(self) -> int:
        """Trainable numbers, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embed_tokens.weight.device
