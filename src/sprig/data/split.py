"""Training and validation documents, drawn before anything is learnt from either."""

import random
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split(groups: Sequence[str], val_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places to train on and to hold out, of documents that belong to these groups; each side in random order.

    Whole groups are drawn for validation until it has val_fraction of the documents. ValueError if there are too few
    groups for both sides to have a document.
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
    taken = np.cumsum(sizes[order])
    held_out = int(taken[np.searchsorted(taken, max(1, round(val_fraction * len(groups))))])
    if held_out == len(groups):
        raise ValueError(
            f"The training split is empty: with data.val_fraction={val_fraction} the largest of {len(names)} groups "
            f"takes all. Lower data.val_fraction, or give more files."
        )
    return _shuffled(places[held_out:], rng), _shuffled(places[:held_out], rng)


def _shuffled(numbers: NDArray[np.int64], rng: random.Random) -> NDArray[np.int64]:
    # By random.shuffle and not by numpy's, which would draw another split than earlier runs have.
    drawn = array("q", numbers.astype(np.int64).tobytes())
    rng.shuffle(drawn)
    return np.frombuffer(drawn, dtype=np.int64)
