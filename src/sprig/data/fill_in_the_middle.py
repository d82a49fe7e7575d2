"""Some documents of an epoch turned into fill-in-the-middle examples (Bavarian et al. 2022, arXiv:2207.14255).

Where it stands: between a training corpus and its rows, anew in each epoch, so that a document is cut elsewhere each
time. Validation is never turned: its figures are those of code read from left to right.
"""

from collections.abc import Sequence

import numpy as np

from sprig.data.corpus import Corpus
from sprig.data.tokenizer import FILL_IN_THE_MIDDLE, CodeTokenizer


def fill_in_the_middle(corpus: Corpus, tokenizer: CodeTokenizer, rate: float, seed: Sequence[int]) -> Corpus:
    """The corpus with a part `rate` of its documents cut in three at two characters, each cut equally likely.

    Half of them become <fim_prefix> prefix <fim_suffix> suffix <fim_middle> middle (PSM), half of them
    <fim_prefix> <fim_suffix> suffix <fim_middle> prefix middle (SPM, as StarCoder has it). Cutting at characters and
    not at tokens is what lets the model complete half a word. The draw depends on seed and corpus alone.
    """
    rng = np.random.default_rng(list(seed))
    turned = np.flatnonzero(rng.random(len(corpus)) < rate)
    dtype = corpus.ids.dtype
    marks = (*map(tokenizer.special_id, FILL_IN_THE_MIDDLE), tokenizer.end_of_text)
    before_prefix, before_middle, before_suffix, end = (np.array([id], dtype) for id in marks)
    texts = []
    for place in turned:
        text = tokenizer.decode(corpus.ids[corpus.starts[place] : corpus.starts[place + 1] - 1].tolist())
        first, second = np.sort(rng.integers(0, len(text) + 1, 2))
        texts += [text[:first], text[first:second], text[second:]]
    pieces = tokenizer.encode_all(texts)

    parts, unchanged_from = [], 0
    lengths = corpus.lengths.copy()
    headers = np.array(corpus.headers)
    for place, suffix_first in zip(turned, rng.random(len(turned)) < 0.5, strict=True):
        prefix, middle, suffix = next(pieces), next(pieces), next(pieces)
        if suffix_first:
            cut = [before_prefix, before_suffix, suffix, before_middle, prefix, middle, end]
        else:
            cut = [before_prefix, prefix, before_suffix, suffix, before_middle, middle, end]
        parts += [corpus.ids[unchanged_from : corpus.starts[place]], *cut]
        unchanged_from = corpus.starts[place + 1]
        lengths[place], headers[place] = sum(map(len, cut)), 0
    parts.append(corpus.ids[unchanged_from:])
    return Corpus(np.concatenate(parts), np.concatenate(([0], np.cumsum(lengths))), headers, corpus.opening)
