"""What one file comes to, whatever is asked for at once."""

from pathlib import Path

import pytest

from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.config import DataConfig
from sprig.data.documents import Document
from sprig.data.reading import Unfit


def test_python_that_multiplies_matrices_still_parses_when_addresses_are_replaced() -> None:
    text = 'z = a@b.id  # ada@lovelace.org\nmail = "ada@lovelace.org"\n'
    file = Document(text, "a.py", "a.py", language="python")
    cleaned = Cleaner(DataConfig(redact=True, syntax=True)).clean(file)
    assert [document.text for document in cleaned.documents] == ['z = a@b.id  # <EMAIL>\nmail = "<EMAIL>"\n']
    assert cleaned.redacted == {"email": 2}


def test_what_counts_as_a_benchmarks_text_is_as_it_was_set(tmp_path: Path) -> None:
    text = "total = sum(values) if values else 0.0\nreturn total / max(len(values), 1)\n"
    (tmp_path / "benchmark.txt").write_text(text)
    benchmark = [str(tmp_path / "benchmark.txt")]
    half = Document("def f(values):\n    total = sum(values) if values else 0.0\n", "a.py", "a.py", language="python")
    assert Cleaner(DataConfig(decontaminate=benchmark, decontaminate_share=0.9)).clean(half).documents
    for settings in ({"decontaminate_share": 0.1}, {"decontaminate_ngram": 3, "decontaminate_share": 0.3}):
        with pytest.raises(Unfit, match="contains a benchmark's text"):
            Cleaner(DataConfig(decontaminate=benchmark, **settings)).clean(half)
    with pytest.raises(ValueError, match="no text of 10 tokens and 99 characters"):
        Cleaner(DataConfig(decontaminate=benchmark, decontaminate_characters=99))
