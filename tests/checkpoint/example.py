"""A small random model with a tokenizer and facts, to save and to load."""

import torch

from random_models import random_model
from sprig.data.tokenizer import CodeTokenizer
from sprig.model.transformer import Transformer

VOCABULARY = 270
TEXT = 'def add(a, b):\n    return a + b  # "<|endoftext|>" is é text\n'
TOKENIZER = CodeTokenizer.train([TEXT] * 2, VOCABULARY)
IDS = torch.randint(VOCABULARY, (2, 32), generator=torch.Generator().manual_seed(3))
FACTS = {"metrics": {"val/loss": 0.5, "val/runs": None}, "epoch": 5, "betas": [0.9, 0.95], "name": "é"}


def model(seed: int = 0, **overrides: object) -> Transformer:
    return random_model(seed, vocab_size=VOCABULARY, **overrides)
