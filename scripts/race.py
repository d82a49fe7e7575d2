"""What the contenders of scripts/bench_train.py are given, and the clock of the one that runs."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.loading import Batch, BatchLoader
from sprig.data.prepared import Prepared
from sprig.model.config import ModelConfig
from sprig.training.precision import fast_bfloat16

Model = Callable[[torch.Tensor], torch.Tensor]
"""Token ids (B, T) to logits (B, T, V)."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NARROW = fast_bfloat16(DEVICE)
WARM = 3  # steps that are not timed


@dataclass
class Race:
    """The rows and the shape for a contender, until so many steps or seconds are over."""

    data: Prepared
    shape: ModelConfig
    batch_size: int
    steps: int
    seconds: float | None
    seed: int = 0
    ends: list[float] = field(default_factory=list)
    events: list[torch.cuda.Event] = field(default_factory=list)
    """The same on a GPU, which a loop that reads nothing back runs ahead of."""

    def start(self) -> None:
        """Begin to count."""
        self.ends, self.events = [], []
        self.mark()

    def mark(self) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())
        if DEVICE == "cuda":
            self.events.append(torch.cuda.Event(enable_timing=True))
            self.events[-1].record()

    def batches(self) -> Iterator[Batch]:
        """Epoch after epoch until the end."""
        loader = BatchLoader(self.data.train, self.batch_size, seed=self.seed, trim=False)
        self.start()
        while True:
            for batch in loader:
                yield batch.to(torch.device(DEVICE))
                self.mark()
                if self.over:
                    return

    @property
    def over(self) -> bool:
        """Whether the contender has to stop."""
        if self.seconds is None:
            return len(self.ends) > self.steps
        return self.ends[-1] - self.ends[0] > self.seconds

    @property
    def lost(self) -> float:
        """Seconds by which the first steps took longer than others: warming up, compiling."""
        return self.ends[WARM] - self.ends[0] - WARM * self.batch_size * self.shape.max_position_embeddings / self.pace

    @property
    def pace(self) -> float:
        """Tokens a second, by the median step."""
        steps = [after - before for before, after in pairwise(self.ends[WARM:])]
        if self.events:
            torch.cuda.synchronize()
            steps = [before.elapsed_time(after) / 1000 for before, after in pairwise(self.events[WARM:])]
        return self.batch_size * self.shape.max_position_embeddings / statistics.median(steps)
