"""What one file comes to, whatever is asked for at once."""

from sprig.data.cleaning.cleaner import Cleaner
from sprig.data.config import DataConfig
from sprig.data.documents import Document


def test_python_that_multiplies_matrices_still_parses_when_addresses_are_replaced() -> None:
    text = 'z = a@b.id  # ada@lovelace.org\nmail = "ada@lovelace.org"\n'
    file = Document(text, "a.py", "a.py", language="python")
    cleaned = Cleaner(DataConfig(redact=True, syntax=True)).clean(file)
    assert [document.text for document in cleaned.documents] == ['z = a@b.id  # <EMAIL>\nmail = "<EMAIL>"\n']
    assert cleaned.redacted == {"email": 2}
