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


@pytest.mark.parametrize("stands", ["in the file", "beside it"])
def test_a_licence_that_holds_a_secret_is_none_that_is_known_and_is_shown_nowhere(stands: str) -> None:
    key = "ghp_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5"
    text = f"# SPDX-License-Identifier: {key}\nx = 1\n" if stands == "in the file" else "x = 1\n"
    file = Document(text, "a.py", "a.py", language="python", license=f"LicenseRef-{key}")
    [document] = Cleaner(DataConfig(redact=True)).clean(file).documents
    assert document.license == "" and key not in document.text
    with pytest.raises(Unfit, match=r"^licence unknown$"):
        Cleaner(DataConfig(redact=True, licenses=["MIT"])).clean(file)
    honest = Document("x = 1\n", "a.py", "a.py", language="python", license="LicenseRef-Ours")
    assert Cleaner(DataConfig(redact=True)).clean(honest).documents[0].license == "LicenseRef-Ours"
