"""Near duplicates: documents that share most of their 5-grams of code tokens, found by MinHash and banding.

Where it stands: behind `sprig.data.deduplication`, which drops exact duplicates only. `signature` makes 512 bytes
of a document, in whatever process reads it; `clusters` takes the signatures of all documents, memory-mapped where
they are many, and says which documents belong together. What is done with a cluster is the caller's affair.

A. Broder, "On the resemblance and containment of documents", 1997; the sketch is rensa's R-MinHash, after
S. Dahlgaard, M. Knudsen, M. Thorup, "Fast Similarity Sketching", arXiv:1704.04370; banding: J. Leskovec,
A. Rajaraman, J. Ullman, "Mining of Massive Datasets", chapter 3.
"""

import re
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

NUM_PERM = 128
"""Slots of a signature. The estimated Jaccard of a pair has a standard error of at most 0.045."""
THRESHOLD = 0.7
"""Jaccard from which on two documents are near duplicates."""

_GRAM = 5
_SEED = 1
_MISSED = 0.02  # of the pairs that stand at the threshold, the part that may share no band
_LEADERS = 32  # members of a bucket that the others are compared with

# A match without a group is left out. A name, a number, a quoted string and any other character are a token each:
# operators, because they stay when a variable is renamed, and the more 5-grams, the smaller the part that a name
# takes with it; a string as one token, because an edited message is then one edit. All languages go by one pattern,
# so comments are left out only in forms that are hardly anything else: "#" behind white space (but no directive of
# C and no attribute of Rust), "//" where no operand stands before it ("n // 2" is code), "/* */", and, at the
# beginning of a line, a string in triple quotes: a docstring. A comment that is missed counts as code.
# Repeats that may fail are bounded or possessive: a hostile megabyte takes seconds, not hours. White space is matched
# as a run, and a look back follows what it looks back from: where nothing can match, `re` sees that at once.
_TOKEN = re.compile(
    rb"""
    ^[ \t]*+ (?: //[^\n]*+ | [rRuU]?+(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}) )
    | [^\S\n]++
    | //(?<=[;{},][ \t]//) [^\n]*+
    | \#(?<!\S\#)(?! !?\[ | [ \t]*+(?:define|endif|ifdef|ifndef|include|pragma|undef)\b | (?:elif|else|if)\b ) [^\n]*+
    | /\*[^*]*+(?:\*++(?!/)[^*]*+){0,100}+\*++/
    | ( [A-Za-z0-9_\x80-\xff]++
      | \"{3}[\s\S]*?\"{3} | '{3}[\s\S]*?'{3}
      | "(?:[^"\\\n]++|\\[\s\S]){0,100}+" | '(?:[^'\\\n]++|\\[\s\S]){0,100}+'
      | \S )
    """,
    re.VERBOSE | re.MULTILINE,
)
# Odd constants, so that a 5-gram's hash depends on the order of its tokens.
_WEIGHTS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)


def tokens(text: str) -> list[bytes]:
    """The text's code tokens in order, without comments, docstrings and white space."""
    return [token for token in _TOKEN.findall(text.encode("utf-8", "surrogatepass")) if token]


def signature(text: str) -> bytes:
    """MinHash of the text's set of 5-grams of code tokens: NUM_PERM slots of 4 bytes, the machine's byte order.

    The part of equal slots of two signatures estimates the Jaccard of their sets. A text of fewer than 5 tokens
    (a constant, nothing but comments) counts as one 5-gram, the whole text with each run of white space made one
    space: too little to be *nearly* the same, it is the duplicate of the same text or of none.
    """
    hashes = _gram_hashes(text)
    digest = RMinHash.digest_matrix_from_flat_token_hashes(hashes, [0, len(hashes)], NUM_PERM, _SEED)
    return np.array(digest.to_rows()[0], dtype=np.uint32).tobytes()


def _gram_hashes(text: str) -> npt.NDArray[np.uint64]:
    """64 bits of each 5-gram, repeats included; they depend on nothing but the text."""
    found = tokens(text)
    count = len(found) - _GRAM + 1
    if count < 1:  # two hashes by other means than below, lest it be some 5-gram's
        whole = " ".join(text.split()).encode("utf-8", "surrogatepass")
        return np.array([zlib.crc32(whole) << 32 | zlib.adler32(whole)], dtype=np.uint64)
    # One number a token and five sums of arrays: twice as fast as joining each 5-gram and having rensa hash it.
    crcs = np.fromiter(map(zlib.crc32, found), dtype=np.uint64, count=len(found))
    hashes: npt.NDArray[np.uint64] = crcs[:count] * _WEIGHTS[0]
    for place in range(1, _GRAM):
        hashes += crcs[place : place + count] * _WEIGHTS[place]
    hashes ^= hashes >> np.uint64(32)  # the low bits of a product depend on its factors' low bits only
    return hashes


def clusters(
    signatures: npt.NDArray[np.uint32], threshold: float = THRESHOLD, *, block: int = 2048
) -> npt.NDArray[np.int64]:
    """For each document the index of the first one of its cluster, its own where it has no near duplicate.

    signatures: (N, NUM_PERM), one document a row, in memory or mapped. Result: (N,). A cluster is held together by
    chains of pairs whose estimated Jaccard is at least threshold, in (0, 1]; its ends can be less alike. Pairs are
    compared where a band of their signatures is equal (see banding). Of the documents that share a band, each is
    compared with the first 32: all pairs where they are few, and never 10,000 x 10,000. Besides the signatures this
    takes some 40 bytes a document, whatever the number of bands. block, the pairs compared at a time, changes no
    result.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"The threshold of near duplicates is {threshold}: set it above 0 and at most to 1.")
    signatures = np.asarray(signatures)  # a plain view of a map, which is quicker to index
    num_perm = signatures.shape[1]
    equal_slots = np.ceil(threshold * num_perm - 1e-9)
    bands, rows = banding(threshold, num_perm)
    first = np.arange(len(signatures), dtype=np.int64)  # a forest: a document, or an earlier one of its cluster
    for band in range(bands):
        for one, other in _candidates(signatures[:, band * rows : (band + 1) * rows], block):
            apart = np.flatnonzero(_roots(first, one) != _roots(first, other))
            one, other = one[apart], other[apart]
            near = (signatures[one] == signatures[other]).sum(axis=1, dtype=np.int32) >= equal_slots
            _join(first, one[near], other[near])
        for start in range(0, len(first), block):  # short ways for the next band
            _roots(first, np.arange(start, min(start + block, len(first))))
    return first


def banding(threshold: float, num_perm: int = NUM_PERM) -> tuple[int, int]:
    """(bands, slots in each) to find pairs by: the most slots that miss at most 2% of the pairs at the threshold.

    A pair of Jaccard j shares at least one of b bands of r slots with probability 1 - (1 - j^r)^b. At 0.7 these are
    25 bands of 5: 99% of the pairs with 0.7, 99.99% with 0.8, 23% with 0.4, 0.8% with 0.2. Many more than those
    above the threshold are compared, and few above it are missed.
    """
    for rows in range(num_perm, 1, -1):
        bands = num_perm // rows
        if (1 - threshold**rows) ** bands <= _MISSED:
            return bands, rows
    return num_perm, 1


def _candidates(
    band: npt.NDArray[np.uint32], block: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield pairs of documents whose slots of a band, (N, rows), are equal, at most block of them at a time.

    rensa's RMinHashLSH takes no stored signatures and keeps all bands at once (1,400 bytes a document); this keeps one
    band in 8: a number whose high bits are the slots' hash and whose low bits are the document, sorted in place.
    """
    bits = np.uint64(len(band).bit_length())  # what is left for the hash makes false pairs few; all are verified
    keys = np.arange(len(band), dtype=np.uint64)
    for start in range(0, len(band), block):
        slots = band[start : start + block].astype(np.uint64)  # (block, rows)
        hashes = np.zeros(len(slots), dtype=np.uint64)
        for column in slots.T:
            hashes = (hashes ^ column) * _WEIGHTS[0]
            hashes ^= hashes >> np.uint64(32)
        keys[start : start + block] |= hashes * _WEIGHTS[1] >> bits << bits
    keys.sort()
    follows = np.zeros(len(keys) + 1, dtype=np.bool_)  # whether a key is in the bucket of the one before it
    follows[1:-1] = keys[1:] >> bits == keys[:-1] >> bits
    shared = follows[:-1] | follows[1:]
    documents = (keys[shared] & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    del keys
    place = np.arange(len(documents))
    start_of = np.maximum.accumulate(np.where(follows[:-1][shared], 0, place))
    place -= start_of  # from here on: in the bucket, the leader itself being 0
    largest = int(place.max(initial=0))
    for leader in range(min(largest, _LEADERS)):
        for start in range(0, len(documents), block):
            behind = start + np.flatnonzero(place[start : start + block] > leader)
            if len(behind):
                yield documents[start_of[behind] + leader], documents[behind]


def _roots(first: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first document of each one's cluster so far; first is shortened to it on the way."""
    roots = first[documents]
    while not np.array_equal(above := first[roots], roots):
        roots = above
    first[documents] = roots
    return roots


def _join(first: npt.NDArray[np.int64], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> None:
    """Make one cluster of those of each pair, headed by the earlier of their first documents."""
    while len(one):
        left, right = _roots(first, one), _roots(first, other)
        np.minimum.at(first, np.maximum(left, right), np.minimum(left, right))
        # A cluster that several pairs join to others has joined the earliest of them only; the next round does more.
        apart = left != right
        one, other = one[apart], other[apart]
