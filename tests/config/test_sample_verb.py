import io
import json
import sys

import pytest

from random_models import random_model
from sprig.checkpoint import save
from sprig.config.sampling import sample
from sprig.config.schema import SampleConfig
from sprig.data.tokenizer import CodeTokenizer

TOKENIZER = CodeTokenizer.train(["def add(a, b):\n    return a + b\n"] * 2, 270)
PROMPT = "def add"


class Terminal(io.StringIO):
    """Remembers what stood on it each time it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.seen.append(self.getvalue())


@pytest.fixture
def settings(tmp_path):
    save(tmp_path / "model", random_model(vocab_size=270), TOKENIZER, {})
    return SampleConfig(ckpt=str(tmp_path / "model"), prompt=PROMPT, max_new_tokens=12, accelerator="cpu")


def completion_in(directory) -> str:
    [generation] = json.loads((directory / "trace.json").read_text())["generation"]
    return generation["completion"]


def test_on_a_terminal_a_completion_appears_as_it_is_written(settings, tmp_path, monkeypatch, capsys):
    (tmp_path / "piped").mkdir()
    sample(settings, tmp_path / "piped")
    text = PROMPT + completion_in(tmp_path / "piped")
    assert capsys.readouterr().out == f"{text}\n"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    sample(settings, tmp_path)
    assert completion_in(tmp_path) == completion_in(tmp_path / "piped")
    assert terminal.seen[0] == PROMPT and len(set(terminal.seen)) > 5
    assert all(later.startswith(earlier) for earlier, later in zip(terminal.seen, terminal.seen[1:], strict=False))


def test_no_control_sequence_of_a_models_reaches_a_terminal(settings, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    settings.prompt = "a\x1b[2J"
    sample(settings, tmp_path)
    assert terminal.getvalue().startswith("a\\x1b[2J")
    assert not any(ord(character) < 32 for character in terminal.getvalue() if character not in "\n\t")
