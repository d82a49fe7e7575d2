"""Exact duplicates: of documents that differ in white space only, the first is kept."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def text_key(text: str) -> str:
    """SHA-256 of the text with every run of white space made one space: equal for exact duplicates."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def first_of_each(keys: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N, 32) keys as bytes -> (N,) true for those that no earlier one equals."""
    whole = np.ascontiguousarray(keys).view("V32").reshape(-1)
    order = np.argsort(whole, kind="stable")
    words = whole[order].view(np.uint64).reshape(-1, 4)
    kept = np.ones(len(keys), dtype=np.bool_)
    kept[order[1:]] = (words[1:] != words[:-1]).any(axis=1)
    return kept
