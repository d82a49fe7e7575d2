"""The keys and values of the positions already read, so that each new token costs one position and not all.

The generator makes one cache for each batch and hands it to the model, which only knows it as
`sprig.model.attention.KeyValueCache`.
"""

from collections.abc import Sequence

from torch import Tensor


class Cache:
    """Room for `capacity` positions in every layer, taken when a layer first stores something."""

    def __init__(self, num_hidden_layers: int, capacity: int) -> None:
        self.length = 0
        """Positions that every layer has stored: it grows when the last layer stores its part."""
        self.capacity = capacity
        self._last_layer = num_hidden_layers - 1
        self._keys: list[Tensor] = []  # one (B, K, capacity, E) for each layer
        self._values: list[Tensor] = []

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append new (B, K, T, E) keys and values of a layer; return views of all of them so far."""
        batch, heads, new, head_dim = keys.shape
        end = self.length + new
        assert end <= self.capacity, f"{end} positions in a cache of {self.capacity}"
        if layer == len(self._keys):
            self._keys.append(keys.new_empty(batch, heads, self.capacity, head_dim))
            self._values.append(values.new_empty(batch, heads, self.capacity, head_dim))
        self._keys[layer][:, :, self.length : end] = keys
        self._values[layer][:, :, self.length : end] = values
        if layer == self._last_layer:
            self.length = end
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows of the batch but these, which come to stand in this order."""
        self._keys = [keys[list(rows)] for keys in self._keys]
        self._values = [values[list(rows)] for values in self._values]
