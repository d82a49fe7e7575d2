"""What dropout draws from: kept with a run, so that one that goes on draws what an uninterrupted one would."""

from typing import Any

import torch
from torch import Tensor

from sprig.training.processes import Processes


class RandomNumbers:
    """The generators of a process and of its GPU; those of all processes are kept, each takes up its own."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._host: Tensor | None = None
        self._device: Tensor | None = None

    def states(self, device: torch.device) -> dict[str, Any]:
        """For a checkpoint: of each process by rank. All of them have to ask."""
        kind = device.type
        of_device = {} if kind == "cpu" else {kind: torch.get_device_module(kind).get_rng_state()}
        return {
            "random_states": self._processes.gather(torch.get_rng_state()),
            "device_random_states": self._processes.gather(of_device),
        }

    def take_up(self, kept: dict[str, Any], device: torch.device) -> None:
        """Take this process's from a checkpoint.

        Processes that there were not before, and devices of another kind, go on with what they were seeded with.
        """
        rank = self._processes.rank
        hosts, devices = kept["random_states"], kept.get("device_random_states", [])
        self._host = hosts[rank] if rank < len(hosts) else None
        self._device = devices[rank].get(device.type) if rank < len(devices) else None

    def go_on(self, device: torch.device) -> None:
        """Draw on from there: now, when everything that draws before training has drawn.

        Where there is nothing to draw on from, each process draws its own: Lightning has given all of them one seed.
        """
        if self._host is not None:
            torch.set_rng_state(self._host.cpu())
        elif self._processes.rank:
            torch.manual_seed(torch.initial_seed() + self._processes.rank)
        if self._device is not None:
            torch.get_device_module(device).set_rng_state(self._device.cpu())
