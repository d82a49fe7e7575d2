"""Training and validation documents, drawn before anything is learnt from either."""

import random
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split(groups: Sequence[str], val_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places to train on and to hold out, of documents that belong to these groups; each side in random order.

    Whole groups are drawn for validation until it has val_fraction of the documents, but for those that have more than
    that alone: they are trained on, all but the smallest where there are no others. ValueError if there is one group.
    """
    # All in arrays, for documents may be many millions: lists take four times as much.
    names, group_of, sizes = np.unique(np.array(groups, dtype=object), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(
            f"The validation split is empty: all {len(groups)} documents belong to one group "
            f"({groups[0]!r}), and a group is never cut. Give more files."
        )
    rng = random.Random(seed)
    order = _shuffled(np.arange(len(names)), rng)
    turn = np.empty_like(order)
    turn[order] = np.arange(len(names))
    places = np.argsort(turn[group_of], kind="stable")  # group after group, in the order drawn
    held_out = _held_out(sizes[order], max(1, round(val_fraction * len(groups))))[turn[group_of[places]]]
    return _shuffled(places[~held_out], rng), _shuffled(places[held_out], rng)


def _held_out(sizes: NDArray[np.int64], wanted: int) -> NDArray[np.bool_]:
    """Which groups of these sizes to take, in their order, until there are so many documents; never all groups."""
    fits = sizes <= wanted
    if not fits.any():
        fits[np.argmin(sizes)] = True
    before = np.cumsum(np.where(fits, sizes, 0)) - sizes
    chosen: NDArray[np.bool_] = fits & (before < wanted)
    if chosen.all():
        chosen[-1] = False
    return chosen


def _shuffled(numbers: NDArray[np.int64], rng: random.Random) -> NDArray[np.int64]:
    # By random.shuffle and not by numpy's, which would draw another split than earlier runs have.
    drawn = array("q", numbers.astype(np.int64).tobytes())
    rng.shuffle(drawn)
    return np.frombuffer(drawn, dtype=np.int64)
