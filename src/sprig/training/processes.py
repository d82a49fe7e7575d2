"""The processes that train one model together: who goes first, and what all of them agree on.

What the steps themselves exchange (gradients, sums of losses) goes through Lightning's strategy and, on GPUs, NCCL.
Here are words between the processes' hosts, over gloo, which never wait for a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from lightning.pytorch.strategies import ParallelStrategy, Strategy
from torch import distributed

T = TypeVar("T")

_PARTS = 10**9  # of a progress that is exchanged as a whole number
_ANSWER = timedelta(minutes=30)
_PREPARATION = timedelta(days=7)  # others wait for the first one to prepare the data, however long that takes


class FailedElsewhere(SystemExit):
    """Another process has failed and says why; this one has nothing to add."""


class Processes:
    """The processes of a run; one that is alone waits for nobody and exchanges nothing."""

    def __init__(
        self, rank: int = 0, count: int = 1, strategy: Strategy | None = None, *, answer: timedelta = _ANSWER
    ) -> None:
        """Meet the others where the strategy says; all of them have to do it.

        One that does not answer the others for so long hangs.
        """
        self.rank, self.count, self.answer = rank, count, answer
        self._asked: dict[str, tuple[torch.Tensor, Any]] = {}
        if strategy is not None:
            # Lightning would do the same, but only when training starts, and the data is prepared before.
            assert isinstance(strategy, ParallelStrategy)
            place = strategy.cluster_environment
            assert place is not None
            if strategy.root_device.type == "cuda":
                # What is measured and tried before training is each process's own GPU, not all of them the first one.
                torch.cuda.set_device(strategy.root_device)
            distributed.init_process_group(
                "nccl" if strategy.root_device.type == "cuda" else "gloo",
                init_method=f"tcp://{place.main_address}:{place.main_port}",
                rank=rank,
                world_size=count,
                timeout=answer,
            )
            self._group = distributed.new_group(backend="gloo", timeout=answer)
            self._preparing = distributed.new_group(backend="gloo", timeout=_PREPARATION)

    @contextmanager
    def first(self) -> Iterator[None]:
        """What is done inside is done by rank 0, then by the others at once, and nobody goes on before all have it.

        It may take days. FailedElsewhere in the others if it fails in rank 0.
        """
        if self.rank and not self._share(False, self._preparing):
            raise FailedElsewhere(1)
        done = False
        try:
            yield
            done = True
        finally:
            if not self.rank and self.count > 1:
                self._share(done, self._preparing)
        if self.count > 1:
            distributed.barrier(self._preparing)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done inside needs the others; ConnectionError, in one sentence, where they do not answer."""
        try:
            yield
        except RuntimeError as error:
            said = str(error)
            if self.count == 1 or not any(name in said for name in ("gloo", "NCCL", "Application timeout")):
                raise
            if "timeout" in said or "Timed out" in said:
                seconds = self.answer.total_seconds()
                raise ConnectionError(
                    f"another process hangs: it has not answered for {seconds:g} s, so the run ends. "
                    f"What was saved before can be gone on with."
                ) from error
            raise ConnectionError(
                "the connection to the other processes broke: one of them has failed, or the network has."
            ) from error

    def share(self, value: T) -> T:
        """The value of rank 0, in all processes."""
        return value if self.count == 1 else self._share(value, self._group)

    @staticmethod
    def _share(value: T, group: Any) -> T:
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=group)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """The values of all processes by rank, in all of them."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def largest(self, question: str, number: int) -> int:
        """The largest number, 0 or more, that any process has for a question.

        With several processes the answer comes one call late, so that nobody waits for it; but for the first one, for
        which all wait. All have to ask the same questions equally often, in one order, and get the same answers.
        """
        if self.count == 1:
            return number
        answer = torch.tensor([number])
        exchange = distributed.all_reduce(answer, distributed.ReduceOp.MAX, group=self._group, async_op=True)
        earlier, waiting = self._asked.get(question, (answer, exchange))
        self._asked[question] = (answer, exchange)
        waiting.wait()
        return int(earlier.item())

    def furthest(self, progress: float) -> float:
        """The largest progress, 0 to 1, that any process has come to, as `largest` has it."""
        return self.largest("progress", round(progress * _PARTS)) / _PARTS

    def leave(self) -> None:
        """Part from the others: what is left to do, each does alone."""
        if self.count > 1:
            distributed.destroy_process_group()
