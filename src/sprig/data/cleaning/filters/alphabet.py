"""Files that are mostly digits, signs and white space: tables and dumps.

Where it stands: one module of `sprig.data.cleaning.filters`. After the alpha filter of StarCoder2 (arXiv:2402.19173,
section 2.1): letters of any script, as a share of all characters, white space included.
"""

import string

from sprig.data.documents import Document

_ASCII_LETTERS = string.ascii_letters.encode()
_ASCII = bytes(range(128))


def alphabetic_fraction(document: Document, threshold: float) -> str | None:
    """The share of letters, from below, in [0, 1]. StarCoder2: 0.25."""
    text = document.text
    return f"under {threshold:.0%} letters" if _letters(text) < threshold * len(text) else None


def _letters(text: str) -> int:
    # Asking each character takes 20 times as long, so only those outside ASCII are asked.
    data = text.encode("utf-8", "replace")
    letters = len(data) - len(data.translate(None, _ASCII_LETTERS))
    return letters if text.isascii() else letters + sum(map(str.isalpha, data.translate(None, _ASCII).decode()))


FILTERS = {"alphabetic_fraction": alphabetic_fraction}
