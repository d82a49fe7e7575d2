"""The shape of a transformer, in Hugging Face's words; it is also the typed schema of the Hydra group `model`."""

from dataclasses import dataclass


@dataclass
class RopeScaling:
    """Llama 3's way to lengthen a context after training: see `sprig.model.rotary.scaled`."""

    factor: float = 8.0
    """How many times slower the slowest pairs turn."""
    low_freq_factor: float = 1.0
    """Pairs that turn fewer times than this in the original context are slowed by the whole factor."""
    high_freq_factor: float = 4.0
    """Pairs that turn more often than this keep their pace."""
    original_max_position_embeddings: int = 8192
    """The context before it was lengthened."""

    def check(self) -> None:
        """Raise ValueError for numbers that scale nothing."""
        if self.factor < 1 or self.original_max_position_embeddings < 1:
            raise ValueError(
                f"model.rope_scaling: factor={self.factor} and original_max_position_embeddings="
                f"{self.original_max_position_embeddings} must be at least 1."
            )
        if not 0 < self.low_freq_factor < self.high_freq_factor:
            raise ValueError(
                f"model.rope_scaling: low_freq_factor={self.low_freq_factor} must be above 0 and below "
                f"high_freq_factor={self.high_freq_factor}."
            )


@dataclass
class ModelConfig:
    """Every number that decides the parameters' names and shapes. Defaults are those of `model=small`."""

    vocab_size: int = 1024
    hidden_size: int = 128
    intermediate_size: int = 384
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    """Fewer than num_attention_heads gives grouped-query attention (Ainslie et al. 2023)."""
    head_dim: int = 32
    max_position_embeddings: int = 50
    """The context: the most positions that the model is built and trained for."""
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True
    qk_norm: bool = True
    """RMSNorm over each head of queries and keys: Qwen3 has it, Qwen2 and Llama do not."""
    attention_bias: bool = False
    """Biases on the projections of queries, keys and values: Qwen2 has them, Qwen3 and Llama do not."""
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""

    def check(self) -> None:
        """Raise ValueError for a shape that no transformer can have."""
        for name in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}={getattr(self, name)}: it must be at least 1.")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"model.num_attention_heads={self.num_attention_heads} is no multiple of "
                f"model.num_key_value_heads={self.num_key_value_heads}."
            )
        if self.head_dim % 2:
            raise ValueError(f"model.head_dim={self.head_dim} is odd: rotary positions turn pairs, make it even.")
        if self.rope_scaling is not None:
            self.rope_scaling.check()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"model.num_attention_heads={self.num_attention_heads} does not divide "
                f"model.hidden_size={self.hidden_size}."
            )
        if self.qk_norm and self.attention_bias:
            raise ValueError("model.qk_norm and model.attention_bias: no Hugging Face model has both, choose one.")
        if not 0 <= self.attention_dropout < 1:
            raise ValueError(f"model.attention_dropout={self.attention_dropout} must be in [0, 1).")

    @property
    def model_type(self) -> str:
        """The Hugging Face architecture whose files these settings write and read."""
        if self.qk_norm:
            return "qwen3"
        return "qwen2" if self.attention_bias else "llama"
