"""Files whose lines are too long, too short, too many or too few for code that people wrote.

Where it stands: one module of `sprig.data.cleaning.filters`. The upper limits are those of StarCoder2
(arXiv:2402.19173, section 2.1, "Long line filters"), which go back to Codex (arXiv:2107.03374); the lower ones are
those of OpenCoder (arXiv:2411.04905, its published code_filter_config.py). A line is what stands between two "\\n",
without them; a "\\n" that ends the file begins no line.
"""

from sprig.data.documents import Document

# Prose, markup and data: StarCoder2 asks only that no line of theirs is over 100,000 characters.
_LONG_LINED = frozenset({"html", "json", "markdown", "roff", "smt", "tex", "text", "xml"})
_LONG_LINED_LIMIT = 100_000


def max_line_length(document: Document, threshold: int) -> str | None:
    """The longest line, in characters. StarCoder2: 1,000."""
    limit = max(threshold, _LONG_LINED_LIMIT) if document.language in _LONG_LINED else threshold
    return f"line over {limit:,} characters" if max(map(len, document.text.split("\n"))) > limit else None


def mean_line_length(document: Document, threshold: float) -> str | None:
    """The mean length of a line, in characters. StarCoder2: 100."""
    if document.language in _LONG_LINED:
        return None
    return f"lines of over {threshold:g} characters on average" if _mean_length(document.text) > threshold else None


def min_mean_line_length(document: Document, threshold: float) -> str | None:
    """The mean length of a line, in characters, from below. OpenCoder: 5."""
    return f"lines of under {threshold:g} characters on average" if _mean_length(document.text) < threshold else None


def max_lines(document: Document, threshold: int) -> str | None:
    """The number of lines. StarCoder2: 100,000."""
    return f"over {threshold:,} lines" if _count(document.text) > threshold else None


def min_lines(document: Document, threshold: int) -> str | None:
    """The number of lines, from below. OpenCoder: 10."""
    return f"under {threshold:,} lines" if _count(document.text) < threshold else None


def _count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))


def _mean_length(text: str) -> float:
    return (len(text) - text.count("\n")) / _count(text)


FILTERS = {
    "max_line_length": max_line_length,
    "mean_line_length": mean_line_length,
    "min_mean_line_length": min_mean_line_length,
    "max_lines": max_lines,
    "min_lines": min_lines,
}
