"""The last three stages of a training run, described for the trace with the run's own numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sprig.data.corpus import encode
from sprig.data.documents import Document
from sprig.data.packing import Rows, pack
from sprig.data.prepared import Prepared
from sprig.generation.config import SamplingConfig
from sprig.generation.generator import Generator
from sprig.model.transformer import Transformer
from sprig.trace.metrics import shown
from sprig.trace.records import Epoch, Generation, Stage
from sprig.training.loss import token_losses

_SHOWN = 16
"""Rows of the followed sample that are measured for the trace."""
_READ_AGAIN = 256_000_000
"""Bytes of training text that are looked through for each prompt."""


def weights(model: Transformer) -> list[dict[str, Any]]:
    """Every trainable tensor by its name, shape and size: what the model consists of, top to bottom."""
    return [
        {"name": name, "shape": list(parameter.shape), "parameters": parameter.numel()}
        for name, parameter in model.named_parameters()
    ]


def training_stage(data: Prepared, model: Transformer, epochs: Sequence[Epoch], steps: int, seconds: float) -> Stage:
    """Stage 4; the sample shows what the trained model expects as the held-out sample's last token."""
    rows, width = int(data.stages[2].counts["training rows"]), data.val.seq_len
    losses = [f"{epoch.metrics['train/loss']:.2f}" for epoch in epochs if "train/loss" in epoch.metrics]
    return Stage(
        name="Model training",
        input_shape=f"{rows:,} rows x {width} integers (training set)",
        operation=f"train {model.num_parameters:,} parameters to predict the next token, {steps:,} steps",
        output_shape=f"trained model, training loss {' -> '.join(losses) or 'not measured'}",
        seconds=seconds,
        sample=_last_token_guess(data, model),
        counts={"steps": steps, "tokens": epochs[-1].tokens if epochs else 0},
    )


def validation_stage(data: Prepared, model: Transformer, metrics: dict[str, float], seconds: float) -> Stage:
    """Stage 5; the sample is the held-out sample's own loss and accuracy."""
    rows = pack(encode([data.sample], data.tokenizer), data.val.seq_len, "padded")
    nats, right, tokens = _score(model, rows, _SHOWN)
    return Stage(
        name="Validation",
        input_shape=f"{len(data.val):,} rows x {data.val.seq_len} integers (validation set)",
        operation="measure loss and accuracy on unseen code, padding not counted",
        output_shape=", ".join(f"{name} {metrics[name]:.3f}" for name in shown(metrics) if name != "train/loss"),
        seconds=seconds,
        sample=f"loss {nats / tokens:.3f} nats a token, {right} of {tokens} tokens guessed right"
        + (f", in the first {_SHOWN} rows" if len(rows) > _SHOWN else ""),
    )


def generation_stage(
    data: Prepared, model: Transformer, prompts: Sequence[str], config: SamplingConfig
) -> tuple[Stage, list[Generation]]:
    """Stage 6: continue the followed sample's beginning, then prompts; each says whether training saw its header."""
    beginning = _beginning(data.sample, data)
    generator = Generator(model, data.tokenizer)
    followed = generator.generate([beginning], config)
    others = generator.generate(list(prompts), config) if prompts else []
    results = followed + others
    ids = 1 + len(data.tokenizer.encode(beginning))
    stage = Stage(
        name="Code generation",
        input_shape=f"prompt x {ids} integers",
        operation="generate token by token, the likeliest each time, with a key-value cache",
        output_shape=f"{len(followed[0].token_ids)} new tokens, {followed[0].stop_reason}",
        seconds=sum(len(result.token_ids) / result.tokens_per_second for result in results),
        sample=f"{beginning} => {followed[0].completion}",
    )
    return stage, results


def known_to_training(data: Prepared, prompt: str) -> str:
    """What a prompt was to the model: where a training document starts with it, what becomes of it shows memory."""
    if data.train_documents is None:
        return "not looked up"  # the text is far away
    if data.train_documents.bytes > _READ_AGAIN:
        return "not looked up"  # it would take longer than what is said is worth
    seen = any(document.text.startswith(prompt) for document in data.train_documents)
    return "seen in training" if seen else "held out"


def _beginning(sample: Document, data: Prepared) -> str:
    """The sample's header where it fits the context, else the first half of what fits of the sample's tokens."""
    header = sample.text[: sample.header]
    if header and len(data.tokenizer.encode(header)) < data.val.seq_len:
        return header
    ids = data.tokenizer.encode(sample.text)[: data.val.seq_len - 1]
    return data.tokenizer.decode(ids[: max(1, len(ids) // 2)]).rstrip("\ufffd")


@torch.inference_mode()
def _last_token_guess(data: Prepared, model: Transformer) -> str:
    model.eval()
    ids = data.tokenizer.encode(data.sample.text)[: data.val.seq_len]
    context = torch.tensor([[data.tokenizer.opening, *ids[:-1]]], device=model.device)
    probability, guess = model(context)[0, -1].float().softmax(-1).max(-1)
    before = data.tokenizer.decode(ids[:-1])[-30:]
    [token] = data.tokenizer.tokens([int(guess)])
    [actual] = data.tokenizer.tokens(ids[-1:])
    return f"after {before!r} the model expects {token!r} with probability {probability:.2f}; it is {actual!r}"


@torch.inference_mode()
def _score(model: Transformer, rows: Rows, most: int) -> tuple[float, int, int]:
    """Total nats, right guesses and tokens of the first rows, one at a time: a document may have thousands."""
    model.eval()
    nats, right, tokens = 0.0, 0, 0
    for number in range(min(len(rows), most)):
        read = rows.read(np.array([number]))
        ids = torch.from_numpy(read.ids).to(model.device)
        counted = torch.from_numpy(read.documents[:, 1:] >= 0).to(model.device)
        logits = model(ids[:, :-1])
        nats += float(token_losses(logits, ids[:, 1:].masked_fill(~counted, -100)).sum())
        right += int(((logits.argmax(-1) == ids[:, 1:]) & counted).sum())
        tokens += int(counted.sum())
    return nats, right, tokens
