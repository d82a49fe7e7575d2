"""Token ids to rows of equal length: one document a row with padding, or documents end to end without.

Every document is opened and closed by end of text. A row holds seq_len + 1 ids: its inputs are all but the last,
its targets all but the first, so consecutive rows of one text overlap by one id and every token is predicted once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprig.data.documents import Document
from sprig.data.tokenizer import CodeTokenizer

_Sequence = tuple[NDArray[np.int32], NDArray[np.bool_]]  # target ids, and which of them follow a header


@dataclass(frozen=True, slots=True)
class Rows:
    """N rows of S positions, ready to be batched."""

    ids: NDArray[np.int32]
    """(N, S + 1) token ids, the padding token where a row has none."""
    body: NDArray[np.bool_]
    """(N, S + 1), true for tokens after their function's header."""
    lengths: NDArray[np.int32]
    """(N,) targets of each row that are tokens and not padding."""

    @property
    def seq_len(self) -> int:
        """Positions in a row."""
        return int(self.ids.shape[1]) - 1

    @property
    def tokens(self) -> int:
        """Targets in all rows, padding not counted: every document's tokens and its end of text."""
        return int(self.lengths.sum())

    @property
    def padding(self) -> float:
        """The part of all positions that is padding, in [0, 1)."""
        return 1 - self.tokens / (len(self.ids) * self.seq_len)

    def __len__(self) -> int:
        return len(self.ids)


def encode_rows(documents: Sequence[Document], tokenizer: CodeTokenizer, seq_len: int, layout: str) -> Rows:
    """The rows of documents: layout "padded" starts a row with each document, "packed" only where one is full."""
    texts = [document.text for document in documents]
    headers = [document.header for document in documents]
    sequences: list[_Sequence] = []
    for (ids, header), document in zip(tokenizer.encode_from(texts, headers), documents, strict=True):
        body = np.zeros(len(ids) + 1, dtype=np.bool_)
        if document.header:
            body[header:] = True
        sequences.append((np.array([*ids, tokenizer.end_of_text], dtype=np.int32), body))
    if layout == "packed" and sequences:
        all_ids, all_bodies = zip(*sequences, strict=True)
        sequences = [(np.concatenate(all_ids), np.concatenate(all_bodies))]
    return _stack(list(_windows(sequences, tokenizer.end_of_text, seq_len)), tokenizer.pad, seq_len)


def _windows(sequences: Iterable[_Sequence], first: int, seq_len: int) -> Iterator[_Sequence]:
    """Cut each sequence of targets into pieces of seq_len, each with the id that stands before it."""
    for ids, body in sequences:
        ids, body = np.concatenate(([first], ids)).astype(np.int32), np.concatenate(([False], body))
        for start in range(0, len(ids) - 1, seq_len):
            yield ids[start : start + seq_len + 1], body[start : start + seq_len + 1]


def _stack(pieces: list[_Sequence], pad: int, seq_len: int) -> Rows:
    ids = np.full((len(pieces), seq_len + 1), pad, dtype=np.int32)
    body = np.zeros((len(pieces), seq_len + 1), dtype=np.bool_)
    for row, (piece, piece_body) in enumerate(pieces):
        ids[row, : len(piece)] = piece
        body[row, : len(piece)] = piece_body
    return Rows(ids, body, np.array([len(piece) - 1 for piece, _ in pieces], dtype=np.int32))
