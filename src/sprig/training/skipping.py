"""Steps whose gradients are not finite are left out and counted; ten of them in a row end a run.

A bad gradient is never applied. On a processor that is decided here before the step. A GPU decides it for itself: it
is told what to do with a bad one, and what it has found is read a step later, when nobody waits for it.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from sprig.training.optim import Muon

_IN_A_ROW = 10  # steps: a state that gives so many is lost, and no next batch will save it


class _Verdict(NamedTuple):
    """On a step that may still be going on."""

    bad: Tensor
    """On the CPU, once it has arrived."""
    arrived: torch.cuda.Event | None
    place: str


class Skipping:
    """Decides on each step, and counts."""

    def __init__(self) -> None:
        self.skipped = 0
        """Steps that were left out, of those that are read."""
        self.diverged: str | None = None
        """Why the run should end, if it should."""
        self._in_a_row = 0
        self._unread: _Verdict | None = None

    def judge(self, norm: Tensor, optimizer: Optimizer, place: str, *, later: bool) -> None:
        """Let the optimiser's next step change nothing if the gradients' norm is not finite; place says where that is.

        With later the norm is read in the next call, or by `read`, unless the gradients are sharded.
        """
        if later and isinstance(optimizer, Muon) and not isinstance(norm, DTensor):
            self.read()
            bad = norm.isfinite().logical_not()
            optimizer.found_inf = bad.float()
            on_the_cpu = bad.to("cpu", non_blocking=True)
            arrived = torch.cuda.current_stream().record_event() if bad.is_cuda else None
            self._unread = _Verdict(on_the_cpu, arrived, place)
        elif norm.isfinite():
            self._count(False, place)
        else:
            optimizer.zero_grad()  # without a gradient, a parameter is left alone by the optimiser
            self._count(True, place)

    def read(self) -> None:
        """Count the last step, if that is still to be done; a GPU is waited for."""
        verdict, self._unread = self._unread, None
        if verdict is not None:
            if verdict.arrived is not None:
                verdict.arrived.synchronize()
            self._count(bool(verdict.bad), verdict.place)

    def _count(self, bad: bool, place: str) -> None:
        self.skipped += bad
        self._in_a_row = self._in_a_row + 1 if bad else 0
        if self._in_a_row == _IN_A_ROW:
            self.diverged = (
                f"The gradients were not finite {_IN_A_ROW} steps in a row, the last time in {place}: "
                "training has diverged."
            )
