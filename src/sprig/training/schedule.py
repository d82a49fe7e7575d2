"""The learning rate over a run: warm-up, stable, linear warm-down (Hägele et al. 2024, arXiv:2405.18392)."""


def learning_rate_factor(step: int, total_steps: int, warmup: float, warmdown: float) -> float:
    """What the peak learning rate is multiplied by at a step, 0-based, in (0, 1]; later steps keep the last value."""
    progress = min(step + 1, total_steps) / (total_steps + 1)  # in (0, 1): no step is wasted on a rate of zero
    rising = progress / warmup if warmup else 1.0
    falling = (1 - progress) / warmdown if warmdown else 1.0
    return min(1.0, rising, falling)
