"""Training and validation documents, drawn before anything is learnt from either."""

import random
from collections import defaultdict
from collections.abc import Sequence

from sprig.data.documents import Document


def split(documents: Sequence[Document], val_fraction: float, seed: int) -> tuple[list[Document], list[Document]]:
    """Draw whole groups for validation until it has val_fraction of the documents; both sides in random order.

    ValueError if there are too few groups for both sides to have a document.
    """
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[document.group].append(document)
    if len(groups) < 2:
        raise ValueError(
            f"The validation split is empty: all {len(documents)} documents belong to one group "
            f"({documents[0].group!r}), and a group is never cut. Give more files."
        )
    rng = random.Random(seed)
    order = sorted(groups)
    rng.shuffle(order)
    wanted = max(1, round(val_fraction * len(documents)))
    train: list[Document] = []
    val: list[Document] = []
    for group in order:
        (val if len(val) < wanted else train).extend(groups[group])
    if not train:
        raise ValueError(
            f"The training split is empty: with data.val_fraction={val_fraction} the largest of {len(groups)} groups "
            f"takes all. Lower data.val_fraction, or give more files."
        )
    for side in (train, val):
        rng.shuffle(side)
    return train, val
