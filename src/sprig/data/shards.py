"""Training rows in shards: as much of a corpus as is packed, turned and shuffled at one time.

Where it stands: between a corpus, which may be of any size and may stand in an object store, and its batches. Documents
are in random order, so a shard is a sample of all of them. Small corpora are one shard; of a larger one, two are in
memory: the one that is trained on and, made meanwhile, the one that comes next. The first is small, for training to
begin at once, and each has twice the tokens of the one before until they are as large as they shall be: making one
takes a fraction of the time of training on half as much.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from threading import Thread

import numpy as np

from sprig.data.config import DataConfig
from sprig.data.corpus import Corpus
from sprig.data.fill_in_the_middle import fill_in_the_middle
from sprig.data.packing import Rows, pack
from sprig.data.tokenizer import CodeTokenizer

SHARD = 1 << 25
"""Tokens in a shard, 64 MB of them: that many are packed in some seconds."""

FIRST_SHARD = 1 << 19
"""Tokens in the first of several."""

ONE_SHARD = 1 << 22
"""Tokens of the largest corpus that is not cut: it is packed in a second or two."""

PATIENCE = 1800.0
"""Seconds after which a shard that has not come counts as hung: packing takes some, its tokens come from far away."""


class Shards:
    """The rows of every pass over a corpus, by the number of the pass and of the shard."""

    def __init__(self, make: Callable[[int, int], Rows], counts: Sequence[int], growing: int = 0) -> None:
        """make gives the rows of (epoch, shard), the same each time; counts has the rows of each shard.

        The first so many are growing: each pass begins with them.
        """
        self._make, self._counts, self.growing = make, counts, growing
        self._at_hand: dict[tuple[int, int], Future[Rows]] = {}

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def outline(self) -> str:
        """How the corpus is cut, in words: where a pass stands means something with the same cuts only."""
        return f"shards of {', '.join(map(str, self._counts))}" if len(self) > 1 else "one shard"

    def counts(self, epoch: int) -> Sequence[int]:
        """Rows of each shard in this pass.

        Documents that are turned for filling in the middle have a few tokens more, which is not known before it is
        done: with several shards, those are the numbers of rows before turning. What goes beyond the batches of each is
        left for another pass, and where there are fewer, since other lengths pack better, some are given twice.
        """
        return [len(self.rows(epoch, 0))] if len(self) == 1 else self._counts

    def rows(self, epoch: int, shard: int) -> Rows:
        """The rows of a shard: made now, or taken where they were made ahead, and kept until others are asked for."""
        self.make_ahead(epoch, shard)
        made = self._at_hand[epoch, shard]
        try:
            rows = made.result(PATIENCE)
        except TimeoutError as error:
            if made.done():  # the rows' own: what they are read from has said so
                raise
            raise TimeoutError(
                f"Part {shard + 1} of {len(self)} of the training data has not come within {PATIENCE:g} s: the disk or "
                f"the store that it is read from does not answer. Go on with resume=last once it does."
            ) from error
        self._at_hand = {(epoch, shard): made}
        return rows

    def make_ahead(self, epoch: int, shard: int) -> None:
        """Begin to make the rows of a shard beside whatever else goes on."""
        if (epoch, shard) in self._at_hand:
            return
        made = self._at_hand[epoch, shard] = Future[Rows]()

        def work() -> None:
            try:
                made.set_result(self._make(epoch, shard))
            except BaseException as error:  # it is raised again where the rows are asked for
                made.set_exception(error)

        Thread(target=work, daemon=True).start()  # a run that ends does not wait for it


def shards_of(corpus: Corpus, tokenizer: CodeTokenizer, config: DataConfig) -> Shards:
    """The rows that config says, of shards of whole documents."""
    sizes = _sizes(corpus.tokens)
    cuts = np.searchsorted(corpus.starts, np.cumsum(sizes, dtype=np.int64))
    bounds = np.unique([0, *cuts, len(corpus)]).tolist()

    def make(epoch: int, shard: int) -> Rows:
        part = corpus.part(bounds[shard], bounds[shard + 1])
        if config.fim_rate:
            part = fill_in_the_middle(part, tokenizer, config.fim_rate, [config.seed, epoch, 1, shard])
        return pack(part, config.seq_len, config.layout)

    if len(bounds) == 2:  # whose rows are counted when they are made
        return Shards(make, [0])
    outline = replace(corpus, ids=np.empty(0, corpus.ids.dtype))  # packing reads no ids, which may be far away
    parts = (outline.part(first, last) for first, last in pairwise(bounds))
    counts = [len(pack(part, config.seq_len, config.layout)) for part in parts]
    return Shards(make, counts, len(np.unique(cuts[: sum(size < SHARD for size in sizes)])))


def _sizes(tokens: int) -> list[int]:
    """Tokens of each shard but the last, which has the rest: half as many as the one before it, or more."""
    sizes: list[int] = []
    while tokens > ONE_SHARD and sum(sizes) + (size := min(FIRST_SHARD << len(sizes), SHARD)) * 3 // 2 <= tokens:
        sizes.append(size)
    return sizes
