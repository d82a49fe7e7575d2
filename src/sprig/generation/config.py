"""How the next token is chosen; it is also the typed schema behind `sample.py`'s options of the same names."""

from dataclasses import dataclass


@dataclass
class SamplingConfig:
    """Temperature 0 is greedy: the likeliest token each time, whatever top_k, top_p and seed say."""

    max_new_tokens: int | None = None
    """null: as many as the context has room for."""
    temperature: float = 0.0
    top_k: int | None = None
    """Draw among the k likeliest only; null: all."""
    top_p: float = 1.0
    """Draw among the likeliest that together reach probability p (Holtzman et al. 2019), in (0, 1]."""
    num_samples: int = 1
    """Completions for each prompt."""
    seed: int = 0

    def check(self) -> None:
        """Raise ValueError, in one sentence, for a value out of its range."""
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens} must be at least 1.")
        if not self.temperature >= 0:  # nan is refused as well
            raise ValueError(f"temperature={self.temperature} must be 0 (greedy) or more.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k={self.top_k} must be at least 1.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be in (0, 1].")
        if self.num_samples < 1:
            raise ValueError(f"num_samples={self.num_samples} must be at least 1.")
