import shutil
from pathlib import Path

import pytest

from checkpoint.example import FACTS, TOKENIZER, model
from sprig.checkpoint import save


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "best"
    save(directory, model(), TOKENIZER, FACTS)
    return directory


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")
