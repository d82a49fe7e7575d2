"""The most rows that a training step can have on this machine, found by trying: data.batch_size=auto.

Where it stands: before training, with a copy of what will be trained. Steps are real ones, at the rows' full length,
each with the validation of as large a batch: its logits stand in memory as a whole.
"""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import finalize

import torch
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from sprig.data.loading import Batch
from sprig.training.module import LanguageModelling
from sprig.training.optim import Muon

_GPU_FREE = 0.1
"""The part of a GPU's memory that stays free: its memory comes in pieces, and kernels take some of their own."""
_HOST_SHARE = 0.25
"""The part of the machine's free memory that tensors may take. With them the process grew by 1.7 times as much, as
its allocator keeps what they leave; and where memory ends there is no error but a kill: this way twice as many rows
are tried within what is free as well, and about half stays free in the end."""


def most_tokens(device: torch.device) -> int:
    """Tokens of a batch beyond which more would fit and gain nothing.

    Larger batches need more tokens to learn the same (McCandlish et al. 2018, arXiv:1812.06162); they pay while a
    device is not busy. A processor is with far fewer, and takes seconds for these. On GPUs it is the half million that
    models of some hundred million weights are usually given (Brown et al. 2020, arXiv:2005.14165, table 2.1).
    """
    return 1 << 19 if device.type == "cuda" else 1 << 15


class Trial:
    """Steps of a model that is there for nothing else, on the device and in the precision of the run."""

    def __init__(
        self,
        module: LanguageModelling,
        optimizer: Optimizer,
        precision: Precision,
        device: torch.device,
        *,
        seq_len: int,
        document_mask: bool,
        processes: int,
    ) -> None:
        """The module is changed and moved; processes are those of the whole run, which keep gradients twice."""
        self.module, self.optimizer, self.precision, self.device = module, optimizer, precision, device
        self.seq_len, self.document_mask = seq_len, document_mask
        self.processes = processes

    def start(self) -> None:
        """Bring everything into memory that a first step leaves there."""
        self.module = self.precision.convert_module(self.module.to(self.device))  # type: ignore[assignment]
        # Where the card judges gradients itself, as `Skipping` lets it, a step takes more.
        if isinstance(self.optimizer, Muon) and self.device.type == "cuda":
            self.optimizer.found_inf = torch.zeros((), device=self.device)
        self.step(1)
        # Gradients stand in the buckets that DDP sends as well.
        weights = sum(parameter.nbytes for parameter in self.module.parameters()) if self.processes > 1 else 0
        self._buckets = torch.empty(weights, dtype=torch.uint8, device=self.device)

    def step(self, rows: int) -> None:
        """Train on so many rows and validate them; nothing is drawn from the run's random numbers."""
        model, batch = self.module.transformer, self._batch(rows)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            model.train()
            with self.precision.forward_context():
                hidden = model.hidden(batch.input_ids, batch.documents)
                loss = self.module.loss(hidden, model.lm_head.weight, batch.targets).total
            self.optimizer.zero_grad()  # here, as Lightning does: the last step's gradients are there meanwhile
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            del hidden, loss
            model.eval()
            with torch.no_grad(), self.precision.forward_context():
                self.module.validation_step(batch, 0)

    def _batch(self, rows: int) -> Batch:
        shape = (rows, self.seq_len)
        ids = torch.zeros(shape, dtype=torch.int64, device=self.device)
        count = ids.numel()
        documents = torch.zeros_like(ids) if self.document_mask else None
        return Batch(ids, ids, ids > 0, tokens=count, all_tokens=count, positions=count, documents=documents)


def largest_batch(trial: Trial, most: int, *, sharing: int = 1) -> int:
    """The largest power of two, at most `most`, of rows whose steps fit; 0 if not even one row's do.

    On a GPU they are tried until its memory is short. Elsewhere the bytes of all tensors are counted: what sharing
    processes of one machine may take of its memory.
    """
    fits = _fits_gpu(trial) if trial.device.type == "cuda" else _fits_host(trial, sharing)
    fitting, rows = 0, 1
    while rows <= most and fits(rows):
        fitting, rows = rows, 2 * rows
    return fitting


def _fits_gpu(trial: Trial) -> Callable[[int], bool]:
    device = trial.device
    free, total = torch.cuda.mem_get_info(device)
    before = torch.cuda.memory_reserved(device)

    def fits(rows: int) -> bool:
        try:
            if rows == 1:
                trial.start()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            trial.step(rows)
        except torch.OutOfMemoryError:
            return False
        return torch.cuda.max_memory_reserved(device) - before <= free - _GPU_FREE * total

    return fits


def _fits_host(trial: Trial, sharing: int) -> Callable[[int], bool]:
    room = _HOST_SHARE * available_memory() / sharing
    counted = _Counted()

    def fits(rows: int) -> bool:
        if rows == 1:
            if 3 * sum(parameter.nbytes for parameter in trial.module.parameters()) > room:
                return False  # gradients and the optimiser's two moments: trying would end in a kill
            with counted:
                trial.start()
        counted.most = counted.now
        with counted:
            trial.step(rows)
        return counted.most <= room

    return fits


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that operations inside have made, while they are there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage() not in self._known:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self._known[storage] = True
        finalize(storage, self._remove, size).atexit = False
        self.now += size
        self.most = max(self.most, self.now)

    def _remove(self, size: int) -> None:
        self.now -= size


def available_memory() -> int:
    """Bytes of the machine's memory that this process may still take, within the limits of its control groups."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        [line] = (line for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError):  # macOS, which does not say; what is there is shared with everything else
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min([int(line.split()[1]) * 1024, *_left_in_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _left_in_groups(groups: Path, mounted: Path) -> list[int]:
    """What each control group above this process leaves it (cgroups(7), versions 2 and 1), where there is a limit."""
    left = []
    for line in groups.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        limit, taken = ("memory.max", "anon") if not controllers else ("memory.limit_in_bytes", "total_rss")
        own = mounted / controllers / path.lstrip("/")
        for group in (own, *own.parents):
            try:
                most = (group / limit).read_text(encoding="ascii").strip()
                facts = dict(fact.split() for fact in (group / "memory.stat").read_text("ascii").splitlines())
            except OSError:  # of a group outside of a container, or the root, which has no limit
                continue
            if most != "max":  # cached files give way: only what processes hold counts
                left.append(int(most) - int(facts[taken]))
    return left


def forget() -> None:
    """Give the memory of trials back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
