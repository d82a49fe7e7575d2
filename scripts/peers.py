"""What one would use instead of Sprig, as contenders for scripts/bench_train.py.

`trainer` is that of transformers with the same Qwen3 shape, as shipped; `trainer-best`, in bf16 and compiled; `litgpt`,
its model in a plain float32 loop. All have as many parameters. They need
    pip install -c constraints.txt -e '.[dev,peers]'
    pip install -c constraints.txt --no-deps litgpt    (its own requirements admit no transformers of today)
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from contenders import step_with
from race import DEVICE, NARROW, Model, Race
from sprig.data.loading import IGNORED
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.loss import token_losses

PACES: dict[bool, tuple[float, float]] = {}
"""Of the Trainer, by whether it was at its best: tokens a second, and seconds lost at the beginning. A race in seconds
needs its steps foretold."""


def trainer(race: Race, best: bool = False) -> Model:
    """The Trainer of transformers; its learning rate falls over the steps that its pace in the last race promises."""
    import transformers
    from torch.utils.data import Dataset

    class Packed(Dataset):  # type: ignore[type-arg]
        assert len(race.data.train) == 1, "peers are given the rows of one shard"
        rows = race.data.train.rows(0, 0)

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
            read = self.rows.read(np.array([number]))
            ids = torch.from_numpy(read.ids[0, :-1]).long()
            padding = torch.from_numpy(read.documents[0, :-1] < 0)
            return {"input_ids": ids, "labels": ids.masked_fill(padding, IGNORED)}

    class Marks(transformers.TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            race.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            race.mark()
            control.should_training_stop = race.over

    transformers.set_seed(race.seed)
    shape = race.shape
    model = qwen3(shape)
    steps = race.steps
    if race.seconds is not None:
        pace, lost = PACES[best]
        steps = max(1, int((race.seconds - lost) * pace / race.batch_size / shape.max_position_embeddings))
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, per_device_train_batch_size=race.batch_size, max_steps=steps, learning_rate=1e-3,
            save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no", use_cpu=DEVICE == "cpu",
            bf16=best and NARROW, torch_compile=best, dataloader_drop_last=True, seed=race.seed,
        )  # fmt: skip
        transformers.Trainer(model, arguments, train_dataset=Packed(), callbacks=[Marks()]).train()
    if race.seconds is None:
        PACES[best] = race.pace, race.lost
    return lambda ids: model(ids).logits


def litgpt(race: Race) -> Model:
    """LitGPT's model, its Qwen3 shape, AdamW, float32."""
    model = gpt(race.shape).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in race.batches():
        step_with(token_losses(model(batch.input_ids), batch.targets).sum() / batch.tokens, model, optimizer)
    return model


def qwen3(shape: ModelConfig) -> torch.nn.Module:
    """A fresh model of transformers."""
    import transformers

    names = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings", "tie_word_embeddings",
    )  # fmt: skip
    config = transformers.Qwen3Config(**{name: getattr(shape, name) for name in names})
    return _as_large(transformers.Qwen3ForCausalLM(config), shape)


def gpt(shape: ModelConfig) -> torch.nn.Module:
    """A fresh model of LitGPT."""
    from litgpt import GPT, Config

    model = GPT(
        Config(
            block_size=shape.max_position_embeddings, padded_vocab_size=shape.vocab_size, vocab_size=shape.vocab_size,
            n_layer=shape.num_hidden_layers, n_head=shape.num_attention_heads, n_embd=shape.hidden_size,
            n_query_groups=shape.num_key_value_heads, head_size=shape.head_dim, rotary_percentage=1.0,
            parallel_residual=False, bias=False, norm_class_name="RMSNorm", mlp_class_name="LLaMAMLP",
            intermediate_size=shape.intermediate_size, norm_qk=True,
        )
    )  # fmt: skip
    if shape.tie_word_embeddings:  # as its own train.tie_embeddings does
        model.transformer.wte.weight = model.lm_head.weight
    return _as_large(model, shape)


def _as_large(model: torch.nn.Module, shape: ModelConfig) -> torch.nn.Module:
    """model; ValueError where it has not as many parameters as Sprig's of that shape."""
    with torch.device("meta"):
        ours = Transformer(shape).num_parameters
    theirs = sum(weights.numel() for weights in model.parameters())
    if theirs != ours:
        raise ValueError(f"{type(model).__name__} has {theirs:,} parameters and Sprig {ours:,}: they do not compare.")
    return model


PEERS: dict[str, Callable[[Race], Model]] = {
    "trainer": trainer,
    "trainer-best": lambda race: trainer(race, best=True),
    "litgpt": litgpt,
}
