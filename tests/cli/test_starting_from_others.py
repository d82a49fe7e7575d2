import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cli.command import SHORT, sprig
from their_models import write_model

SETTINGS = ["data.count=120", "data.seq_len=64", "logger=csv", "trainer.max_epochs=1", *SHORT]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a model of Llama's kind in several files, and a run that started from it."""
    place = tmp_path_factory.mktemp("fine_tuning")
    write_model(place / "a model, of theirs", "llama", shard="30KB", tie_word_embeddings=False)
    done = sprig("train", "model.init_from=a model, of theirs", *SETTINGS, cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def test_what_was_fine_tuned_opens_in_transformers_with_its_own_tokenizer(place):
    best = place / "outputs" / "latest" / "checkpoints" / "best"
    theirs = AutoTokenizer.from_pretrained(place / "a model, of theirs")
    tokenizer, model = AutoTokenizer.from_pretrained(best), AutoModelForCausalLM.from_pretrained(best)
    text = "def f(x):\n    return x\n"
    assert tokenizer(text).input_ids == theirs(text).input_ids
    assert model.config.rope_parameters["rope_type"] == "llama3"
    assert torch.isfinite(model(torch.tensor([tokenizer(text).input_ids])).logits).all()
    overrides = (place / "outputs" / "latest" / ".hydra" / "overrides.yaml").read_text()
    assert "optim=fine_tune" in overrides  # a pace for weights that are trained already


@pytest.mark.slow  # five processes, one after the other
def test_it_is_sampled_from_evaluated_and_gone_on_with_even_where_the_model_it_began_with_is_gone(place):
    done = sprig("sample", "ckpt=last", "prompt=def f(x):", "max_new_tokens=5", "format=json", cwd=place)
    assert done.returncode == 0 and len(json.loads(done.stdout)["token_ids"]) <= 5, done.stderr
    done = sprig("evaluate", "ckpt=last", cwd=place)
    assert done.returncode == 0 and "the checkpoint's own validation split" in done.stdout, done.stderr
    done = sprig("train", "resume=last", "trainer.max_epochs=2", cwd=place)
    assert done.returncode == 0, done.stderr
    trace = json.loads((place / "outputs" / "latest" / "trace.json").read_text())
    assert [(epoch["epoch"], epoch["step"]) for epoch in trace["epochs"]] == [(1, 2), (2, 4)]
    write_model(place / "another", "llama", shard="30KB", tie_word_embeddings=True)
    done = sprig("train", "resume=last", "trainer.max_epochs=3", "model.init_from=another", cwd=place)
    assert done.returncode == 1 and "not what the run was trained on and with (changed: model)" in done.stderr
    (place / "a model, of theirs").rename(place / "elsewhere")
    done = sprig("train", "resume=last", "trainer.max_epochs=3", cwd=place)
    (place / "elsewhere").rename(place / "a model, of theirs")
    assert done.returncode == 0 and "epoch 3/3" in done.stdout, done.stderr
