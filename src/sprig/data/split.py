"""Training and validation documents, drawn before anything is learnt from either."""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split(groups: Sequence[str], val_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places to train on and to hold out, of documents that belong to these groups; each side in random order.

    Whole groups are drawn for validation until it has val_fraction of the documents. ValueError if there are too few
    groups for both sides to have a document.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    if len(members) < 2:
        raise ValueError(
            f"The validation split is empty: all {len(groups)} documents belong to one group "
            f"({groups[0]!r}), and a group is never cut. Give more files."
        )
    rng = random.Random(seed)
    order = sorted(members)
    rng.shuffle(order)
    wanted = max(1, round(val_fraction * len(groups)))
    train: list[int] = []
    val: list[int] = []
    for group in order:
        (val if len(val) < wanted else train).extend(members[group])
    if not train:
        raise ValueError(
            f"The training split is empty: with data.val_fraction={val_fraction} the largest of {len(members)} groups "
            f"takes all. Lower data.val_fraction, or give more files."
        )
    for side in (train, val):
        rng.shuffle(side)
    return np.array(train, dtype=np.int64), np.array(val, dtype=np.int64)
