"""Exact duplicates: of documents that differ in white space only, the first is kept."""

import hashlib
from collections.abc import Iterable, Iterator

from sprig.data.documents import Document, Skips


def text_key(text: str) -> str:
    """SHA-256 of the text with every run of white space made one space: equal for exact duplicates."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def unique(documents: Iterable[Document], skips: Skips) -> Iterator[Document]:
    """The documents without later copies of an earlier one, each copy counted in skips."""
    seen: set[str] = set()
    for document in documents:
        key = text_key(document.text)
        if key in seen:
            skips.add("exact duplicate", document.path)
            continue
        seen.add(key)
        yield document
