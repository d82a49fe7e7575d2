import hashlib
import os
import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pace import no_longer_than_the_words_of
from sprig.data.near_duplicates import NUM_PERM, banding, clusters, signature, tokens

FUNCTION = '''
def running_mean(values, width):
    """Return the mean of each window of that width."""
    total = sum(values[:width])  # the first window
    means = [total / width]
    for old, new in zip(values, values[width:]):
        total += new - old
        means.append(total / width)
    return means
'''


def grams(text: str) -> set[tuple[bytes, ...]]:
    found = tokens(text)
    return set(zip(*(found[place:] for place in range(5)), strict=False))


def jaccard(one: str, other: str) -> float:
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


def matrix(texts: list[str]) -> np.ndarray:
    return np.frombuffer(b"".join(map(signature, texts)), np.uint32).reshape(len(texts), NUM_PERM)


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Signatures of documents that have nothing in common."""
    return np.random.default_rng(seed).integers(0, 1 << 32, (count, NUM_PERM), dtype=np.uint32)


def words(count: int, draw: random.Random) -> list[str]:
    return [f"w{draw.randrange(1 << 30)}" for _ in range(count)]


def pairs_of_every_likeness(count: int, draw: random.Random) -> list[tuple[str, str]]:
    """Texts of 200 words and copies of them with up to 120 other words in one place."""
    pairs = []
    for _ in range(count):
        text = words(200, draw)
        other, start = draw.randrange(120), draw.randrange(80)
        pairs.append((" ".join(text), " ".join(text[:start] + words(other, draw) + text[start + other :])))
    return pairs


def test_a_signature_is_128_slots_of_4_bytes():
    assert len(signature(FUNCTION)) == 4 * NUM_PERM == 512


def test_changed_comments_docstrings_and_white_space_change_no_signature():
    other = FUNCTION.replace("  # the first window", "").replace("Return the mean", "Give\n\n    the mean")
    other = other.replace("    ", "\t").replace("\treturn", "\t# done\n\n\treturn")
    assert other != FUNCTION and signature(other) == signature(FUNCTION)
    c_code = "#include <x.h>\n/* one\n * two */\nint f(int a) { return a + 1; }"
    assert signature(c_code.replace("one", "three").replace("; }", "; // it\n}")) == signature(c_code)


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("x = n // 2 + y", b"y"),
        ('s = "no # comment"', b'"no # comment"'),
        ("#define N 1 + m", b"m"),
        ("# define N 1 + m", b"m"),
        ("#[derive(Clone)]", b"]"),
        ("u = http://a.b/c", b"c"),
        ("s = x + '''\ntext'''", b"'''\ntext'''"),
        ("rm a/* b", b"b"),
        ("echo ${#x} y", b"y"),
    ],
)
def test_what_only_looks_like_a_comment_is_code(code, last):
    assert tokens(code)[-1] == last


def test_the_first_and_the_only_place_of_a_word_both_count():
    assert signature("a b c d e f") != signature("f e d c b a")
    assert signature("a b c d e f") != signature("z b c d e f")


def test_texts_of_fewer_than_5_tokens_are_duplicates_of_the_same_text_only():
    texts = ["x = 1", "x  =\n1", "y = 1", "# one comment", "# another one", "", "# one comment\n"]
    assert clusters(matrix(texts)).tolist() == [0, 0, 2, 3, 4, 5, 3]


def test_a_text_that_is_no_utf_8_has_a_signature():
    assert len(signature("s = '\udc80' + naïve + ключ")) == 512


@pytest.mark.parametrize("piece", ["/*", '\\"', "'", "/* a\n", "\"\"\"a'''", "# ", "/**", "(", "\n//", " ", "\n  "])
def test_a_hostile_text_takes_no_longer_than_its_length_allows(piece):
    text = piece * (100_000 // len(piece))
    assert no_longer_than_the_words_of(30, lambda: tokens(text))


def test_the_estimate_is_off_by_the_standard_error_of_128_slots_and_by_nothing_else():
    pairs = pairs_of_every_likeness(400, random.Random(1))
    equal = [(matrix([one])[0] == matrix([other])[0]).mean() for one, other in pairs]
    errors = np.array(equal) - [jaccard(*pair) for pair in pairs]
    assert abs(errors.mean()) < 0.01 and errors.std() < 0.045


def test_pairs_above_08_are_found_and_pairs_below_04_are_not():
    pairs = pairs_of_every_likeness(600, random.Random(0))
    exact = np.array([jaccard(*pair) for pair in pairs])
    first = clusters(matrix([text for pair in pairs for text in pair]))
    found = first[1::2] == first[::2]
    assert (exact >= 0.8).sum() > 50 and (exact < 0.4).sum() > 50
    assert found[exact >= 0.8].mean() >= 0.95
    assert not found[exact < 0.4].any()
    assert (first // 2 == np.arange(len(first)) // 2).all()  # none was joined to a text of another pair


def test_a_chain_of_pairs_is_one_cluster_though_its_ends_are_unlike():
    chain = np.repeat(drawn(1), 8, axis=0)
    for number in range(1, 8):
        chain[number:, 16 * number : 16 * (number + 1)] = drawn(1, number)[0, :16]
    assert (chain[0] == chain[7]).mean() < 0.2
    assert clusters(chain[[3, 0, 7, 1, 5, 2, 6, 4]]).tolist() == [0] * 8


def test_a_cluster_that_two_others_are_joined_to_at_once_joins_both():
    signatures = np.arange(4 * 16, dtype=np.uint32).reshape(4, 16)
    signatures[3, 0] = signatures[2, 0]  # documents 2 and 3 are one cluster by the first band,
    signatures[2:, 1] = signatures[:2, 1]  # and the second one joins 0 to 2 and 1 to 3
    assert clusters(signatures, 1 / 16).tolist() == [0, 0, 0, 0]


def in_plain_python(signatures: np.ndarray, threshold: float) -> list[int]:
    bands, rows = banding(threshold, signatures.shape[1])
    first = list(range(len(signatures)))
    for other in range(len(signatures)):
        for one in range(other):
            equal = signatures[one] == signatures[other]
            shared = equal[: bands * rows].reshape(bands, rows).all(axis=1).any()
            if shared and equal.mean() >= threshold - 1e-9:
                low, high = sorted((first[one], first[other]))
                first = [low if root == high else root for root in first]
    return first


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 32),
    values=st.sampled_from([2, 3, 8]),
    num_perm=st.sampled_from([16, 24]),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 1.0]),
    block=st.integers(1, 40),
)
def test_clusters_are_those_of_all_pairs_that_share_a_band_under_any_block(
    seed, count, values, num_perm, threshold, block
):
    draw = np.random.default_rng(seed)
    parents = draw.integers(0, values, (4, num_perm), dtype=np.uint32)
    signatures = parents[draw.integers(0, 4, count)]
    changed = draw.random(signatures.shape) < 0.25
    signatures[changed] = draw.integers(0, values, changed.sum(), dtype=np.uint32)
    first = clusters(signatures, threshold, block=block)
    assert first.dtype == np.int64
    assert (first <= np.arange(count)).all() and (first[first] == first).all()
    assert first.tolist() == in_plain_python(signatures, threshold)


def test_10_000_documents_that_share_bands_take_no_10_000_by_10_000_comparisons():
    signatures = drawn(20_000)
    signatures[::2, :60] = 7  # 12 of 25 bands, and too few slots for the threshold
    assert no_longer_than_the_words_of(75, lambda: clusters(signatures))
    assert (clusters(signatures) == np.arange(20_000)).all()
    signatures[::2] = 7
    assert no_longer_than_the_words_of(75, lambda: clusters(signatures))
    assert (clusters(signatures)[::2] == 0).all()


def test_memory_grows_by_a_few_tens_of_bytes_a_document(tmp_path):
    peaks = []
    for count in (10_000, 30_000):
        np.save(tmp_path / f"{count}.npy", drawn(count // 50)[np.arange(count) // 50])  # buckets of 50
        mapped = np.load(tmp_path / f"{count}.npy", mmap_mode="r")
        tracemalloc.start()
        first = clusters(mapped)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (first == np.arange(count) // 50 * 50).all()
    assert (peaks[1] - peaks[0]) / 20_000 < 50


def test_a_threshold_that_is_no_jaccard_is_refused():
    with pytest.raises(ValueError, match="is 70: set it above 0"):
        clusters(drawn(2), 70)


def test_bands_miss_at_most_2_percent_at_the_threshold():
    assert banding(0.7) == (25, 5)
    for threshold in (0.2, 0.5, 0.7, 0.9, 1.0):
        bands, rows = banding(threshold)
        assert bands * rows <= NUM_PERM and (1 - threshold**rows) ** bands <= 0.02


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_with_another_hash_seed_makes_the_same_signature(hash_seed):
    program = "import sys; from sprig.data.near_duplicates import signature; sys.stdout.buffer.write(signature(%r))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", program % FUNCTION], env=environment, stdout=subprocess.PIPE, check=True
    )
    assert run.stdout == signature(FUNCTION)


def test_signatures_are_those_of_the_day_they_were_first_stored():
    assert hashlib.sha256(signature(FUNCTION)).hexdigest()[:16] == "a4647a58b9fa0f60"
