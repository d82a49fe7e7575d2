"""Token ids to rows of equal length: one document a row with padding, or several that fill it; to measure a model,
windows of a document that overlap.

Every document is closed by end of text, and every row opens with the id that stands before its first target: the
tokenizer's own for that (ours has end of text), or the token before where a row goes on with a document that an
earlier one began. A row holds seq_len + 1 ids:
its inputs are all but the last, its targets all but the first. Every token is a target exactly once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprig.data.corpus import Corpus

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowIds:
    """Some rows, spelled out."""

    ids: _Numbers
    """(n, S + 1) token ids, 0 where a row has none: nothing reads what stands there."""
    body: NDArray[np.bool_]
    """(n, S + 1) true for tokens after their function's header."""
    documents: _Numbers
    """(n, S + 1) which of the row's documents, counted from 0, an id is a target of; -1 where there is none."""


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows of S positions over a corpus: which pieces of it each row holds. Ids are read when they are asked for."""

    corpus: Corpus
    seq_len: int
    first_piece: _Numbers
    """(R + 1,) the number of each row's first piece, and at last P."""
    piece_starts: _Numbers
    """(P,) where in corpus.ids each piece starts."""
    piece_lengths: _Numbers
    """(P,)"""
    piece_documents: _Numbers
    """(P,) the document that each piece is part of."""
    context: _Numbers
    """(R,) how many of its first tokens a row has to be seen only: they are targets of the row before."""

    @property
    def lengths(self) -> _Numbers:
        """(R,) targets of each row that are tokens and not padding."""
        ends = np.concatenate(([0], np.cumsum(self.piece_lengths)))
        return np.diff(ends[self.first_piece]) - self.context

    @property
    def tokens(self) -> int:
        """Targets in all rows, padding not counted: every document's tokens and its end of text."""
        return int(self.lengths.sum())

    @property
    def padding(self) -> float:
        """The part of all positions that is padding, in [0, 1)."""
        return 1 - self.tokens / (len(self) * self.seq_len)

    def __len__(self) -> int:
        return len(self.first_piece) - 1

    def read(self, numbers: _Numbers) -> RowIds:
        """The rows of these numbers."""
        counts = self.first_piece[numbers + 1] - self.first_piece[numbers]
        pieces = _ranges(self.first_piece[numbers], counts)
        lengths = self.piece_lengths[pieces]
        sources = _ranges(self.piece_starts[pieces], lengths)  # of every target
        rows = np.repeat(np.repeat(np.arange(len(numbers)), counts), lengths)
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows) + 1

        ids = np.zeros((len(numbers), self.seq_len + 1), dtype=np.int64)
        ids[rows, columns] = self.corpus.ids[sources]
        first = pieces[np.cumsum(counts) - counts]
        starts, documents = self.piece_starts[first], self.piece_documents[first]
        goes_on = starts > self.corpus.starts[documents]
        ids[:, 0] = np.where(goes_on, self.corpus.ids[starts - 1], self.corpus.opening)

        body = np.zeros(ids.shape, dtype=np.bool_)
        documents = np.repeat(self.piece_documents[pieces], lengths)
        headers = self.corpus.headers[documents]
        body[rows, columns] = (headers > 0) & (sources - self.corpus.starts[documents] >= headers)

        ordinals = np.full(ids.shape, -1, dtype=np.int64)
        ordinals[rows, columns] = np.repeat(_ranges(np.zeros_like(counts), counts), lengths)
        ordinals[np.arange(ids.shape[1]) <= self.context[numbers, None]] = -1
        return RowIds(ids, body, ordinals)


def pack(corpus: Corpus, seq_len: int, layout: str) -> Rows:
    """The rows of a corpus: layout "padded" starts a row with each document, "packed" fills each with several.

    Packed is best fit, decreasing (Ding et al. 2024, arXiv:2404.10830): a document is cut only where it is longer than
    a row, and no more often than it has to be. What is left over of it, less than a row, stands first in a row or last:
    so whatever follows a cut has the token before it as its context, and a document's pieces follow each other.
    """
    if layout == "padded":
        return windows(corpus, seq_len, seq_len)
    lengths = corpus.lengths
    full, left = lengths // seq_len, lengths % seq_len
    items = np.flatnonzero(left)
    items = items[np.argsort(-left[items], kind="stable")]
    bins, sides = _best_fit(left[items].tolist(), (full[items] > 0).tolist(), seq_len)
    order = np.lexsort((np.arange(len(items)), sides, bins))
    items, bins, sides = items[order], bins[order], sides[order]

    at_the_end = np.zeros(len(corpus), dtype=np.bool_)
    at_the_end[items[sides == _END]] = True
    # Where the beginning of a document stands at the end of a row, its whole rows start behind that, and come later.
    before = _whole_rows(np.flatnonzero(~at_the_end), corpus.starts, full, seq_len)
    after = _whole_rows(np.flatnonzero(at_the_end), corpus.starts[:-1] + left, full, seq_len)
    starts = corpus.starts[items] + np.where(sides == _FRONT, full[items] * seq_len, 0)
    bounds = np.flatnonzero(np.diff(bins, prepend=-1))
    pieces = len(before[0])
    first = np.concatenate((np.arange(pieces), pieces + bounds, pieces + len(items) + np.arange(len(after[0]) + 1)))
    return Rows(
        corpus,
        seq_len,
        first,
        np.concatenate((before[0], starts, after[0])),
        np.concatenate((np.full(pieces, seq_len), left[items], np.full(len(after[0]), seq_len))),
        np.concatenate((before[1], items, after[1])),
        np.zeros(len(first) - 1, dtype=np.int64),
    )


def windows(corpus: Corpus, seq_len: int, stride: int) -> Rows:
    """Rows of one document each, every one stride tokens further on in it, for stride from 1 to seq_len.

    With a stride below seq_len they overlap, and a long document's tokens see at least seq_len - stride before them.
    """
    counts = 1 + -(-np.maximum(corpus.lengths - seq_len, 0) // stride)
    documents = np.repeat(np.arange(len(corpus)), counts)
    offsets = _ranges(np.zeros_like(counts), counts) * stride
    return Rows(
        corpus,
        seq_len,
        np.arange(len(documents) + 1),
        corpus.starts[documents] + offsets,
        np.minimum(seq_len, corpus.lengths[documents] - offsets),
        documents,
        np.where(offsets > 0, seq_len - stride, 0),
    )


_FRONT, _WHOLE, _END = 0, 1, 2  # where in its row an item stands: the rest of a document, a whole one, a beginning


def _best_fit(lengths: list[int], cut: list[bool], room: int) -> tuple[_Numbers, _Numbers]:
    """For each item, longest first, its bin and its side: the fullest bin that takes it, or a new one.

    A bin takes any number of whole documents and two parts of cut ones, one in front and one at the end.
    """
    space: list[list[list[int]]] = [[[] for _ in range(room + 1)] for _ in range(3)]  # bins by parts and free space
    masks = [0, 0, 0]  # bit n is set where there is a bin with n free
    bins, sides = [], []
    count = 0
    for length, is_part in zip(lengths, cut, strict=True):
        best, parts = room + 1, 0
        for kind in range(2 if is_part else 3):
            fitting = masks[kind] >> length
            if fitting:
                free = length + (fitting & -fitting).bit_length() - 1
                if free < best:
                    best, parts = free, kind
        if best > room:
            number, best, parts = count, room, 0
            count += 1
        else:
            number = space[parts][best].pop()
            if not space[parts][best]:
                masks[parts] ^= 1 << best
        sides.append((_FRONT if parts == 0 else _END) if is_part else _WHOLE)
        bins.append(number)
        parts += is_part
        space[parts][best - length].append(number)
        masks[parts] |= 1 << (best - length)
    return np.array(bins, dtype=np.int64), np.array(sides, dtype=np.int64)


def _whole_rows(documents: _Numbers, starts: _Numbers, full: _Numbers, seq_len: int) -> tuple[_Numbers, _Numbers]:
    """Starts and documents of the pieces that fill a row alone: full[n] of them for each document, from starts[n]."""
    of = np.repeat(documents, full[documents])
    return starts[of] + _ranges(np.zeros_like(documents), full[documents]) * seq_len, of


def _ranges(starts: _Numbers, lengths: _Numbers) -> _Numbers:
    """starts[0], starts[0] + 1, ... for lengths[0] numbers, then the same for the next."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    numbers: _Numbers = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return numbers
