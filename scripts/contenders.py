"""Those that scripts/bench_train.py compares: each trains one model of a shape until the race is over.

`sprig`, as its main job trains; `bare`, a loop with nothing else over the same model, loss and optimiser; `trainer`,
that of transformers with the same Qwen3 shape, as shipped; `trainer-best`, in bf16 and compiled; `litgpt`, its model in
a plain float32 loop.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.datamodule import RowsDataModule
from sprig.data.loading import Batch, BatchLoader
from sprig.data.preparation import Prepared
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.trace.records import Training
from sprig.training.callbacks.compilation import Compilation
from sprig.training.config import OptimConfig
from sprig.training.loss import linear_cross_entropy, token_losses
from sprig.training.module import LanguageModelling
from sprig.training.optim import build_optimizer
from sprig.training.precision import fast_bfloat16, resolve_precision

Model = Callable[[torch.Tensor], torch.Tensor]
"""Token ids (B, T) to logits (B, T, V)."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NARROW = fast_bfloat16(DEVICE)
WARM = 3  # steps that are not timed


@dataclass
class Race:
    """What all contenders are given, and the clock of the one that runs."""

    data: Prepared
    shape: ModelConfig
    batch_size: int
    steps: int
    seconds: float | None
    seed: int = 0
    ends: list[float] = field(default_factory=list)

    def batches(self) -> Iterator[Batch]:
        """Epoch after epoch until the end."""
        loader = BatchLoader(self.data.train_rows(0), self.batch_size, seed=self.seed, trim=False)
        self.ends = [time.perf_counter()]
        while True:
            for batch in loader:
                yield batch.to(torch.device(DEVICE))
                self.ends.append(time.perf_counter())
                if self.over:
                    return

    @property
    def over(self) -> bool:
        """Whether the contender has to stop."""
        if self.seconds is None:
            return len(self.ends) > self.steps
        return self.ends[-1] - self.ends[0] > self.seconds

    @property
    def pace(self) -> float:
        """Tokens a second, by the median step."""
        steps = [after - before for before, after in zip(self.ends[WARM:], self.ends[WARM + 1 :], strict=False)]
        return self.batch_size * self.shape.max_position_embeddings / statistics.median(steps)


class Clock(L.Callback):
    """Marks the ends of Lightning's steps."""

    def __init__(self, race: Race) -> None:
        self.race = race

    def on_train_start(self, *_: Any) -> None:
        """Start."""
        self.race.ends = [time.perf_counter()]

    def on_train_batch_end(self, *_: Any) -> None:
        """Mark."""
        self.race.ends.append(time.perf_counter())


def sprig(race: Race) -> Model:
    """Sprig's module, data and compilation in Lightning's Trainer; the learning rate falls by the clock."""
    model = Transformer(race.shape)
    module = LanguageModelling(
        model, OptimConfig(), ["loss"], race.data.tokenizer.token_bytes,
        optimizer_dtype=torch.bfloat16 if NARROW else torch.float32,
    )  # fmt: skip
    rows = RowsDataModule(race.data.train_rows(0), race.data.val, race.batch_size, seed=race.seed, trim=False)
    compilation = Compilation(None if race.seconds else False, DEVICE, Training())
    limits: dict[str, Any] = (
        {"max_steps": race.steps} if race.seconds is None else {"max_time": {"seconds": race.seconds}}
    )
    L.Trainer(
        accelerator="auto", devices=1, precision=resolve_precision("auto", DEVICE), logger=False, max_epochs=-1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, limit_val_batches=0,
        gradient_clip_val=1.0, callbacks=[compilation, Clock(race)],
        **limits,
    ).fit(module, datamodule=rows)  # fmt: skip
    return model.to(DEVICE)


def bare(race: Race) -> Model:
    """The same in a loop of its own, at one learning rate: what Lightning costs is the difference."""
    model = Transformer(race.shape).to(DEVICE)
    optimizer = build_optimizer(model, OptimConfig(), torch.bfloat16 if NARROW else torch.float32)
    for batch in race.batches():
        with torch.autocast(DEVICE, torch.bfloat16, enabled=NARROW):
            loss = linear_cross_entropy(model.model(batch.input_ids), model.lm_head.weight, batch.targets).total
        _step(loss, model, optimizer)
    return model


def _step(loss: torch.Tensor, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def trainer(race: Race, best: bool = False) -> Model:
    """The Trainer of transformers; its learning rate falls over the steps that its pace in the last race promises."""
    import transformers
    from torch.utils.data import Dataset

    class Packed(Dataset):  # type: ignore[type-arg]
        rows = race.data.train_rows(0)

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
            ids = torch.from_numpy(self.rows.read(torch.tensor([number]).numpy()).ids[0, :-1]).long()
            return {"input_ids": ids, "labels": ids}

    class Marks(transformers.TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            race.ends = [time.perf_counter()]

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            race.ends.append(time.perf_counter())
            control.should_training_stop = race.over

    transformers.set_seed(race.seed)
    shape = race.shape
    names = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings", "tie_word_embeddings",
    )  # fmt: skip
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**{name: getattr(shape, name) for name in names}))
    steps = (
        race.steps
        if race.seconds is None
        else int(race.seconds * PACES[best] / race.batch_size / shape.max_position_embeddings)
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, per_device_train_batch_size=race.batch_size, max_steps=steps, learning_rate=1e-3,
            save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no", use_cpu=DEVICE == "cpu",
            bf16=best and NARROW, torch_compile=best, dataloader_drop_last=True, seed=race.seed,
        )  # fmt: skip
        transformers.Trainer(model, arguments, train_dataset=Packed(), callbacks=[Marks()]).train()
    if race.seconds is None:
        PACES[best] = race.pace
    return lambda ids: model(ids).logits


PACES: dict[bool, float] = {}


def litgpt(race: Race) -> Model:
    """LitGPT's model, its Qwen3 shape, AdamW, float32."""
    from litgpt import GPT, Config

    shape = race.shape
    model = GPT(
        Config(
            block_size=shape.max_position_embeddings, padded_vocab_size=shape.vocab_size, vocab_size=shape.vocab_size,
            n_layer=shape.num_hidden_layers, n_head=shape.num_attention_heads, n_embd=shape.hidden_size,
            n_query_groups=shape.num_key_value_heads, head_size=shape.head_dim, rotary_percentage=1.0,
            parallel_residual=False, bias=False, norm_class_name="RMSNorm", mlp_class_name="LLaMAMLP",
            intermediate_size=shape.intermediate_size, norm_qk=True,
        )
    ).to(DEVICE)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in race.batches():
        _step(token_losses(model(batch.input_ids), batch.targets).sum() / batch.tokens, model, optimizer)
    return model


CONTENDERS: dict[str, Callable[[Race], Model]] = {
    "sprig": sprig,
    "bare": bare,
    "trainer": trainer,
    "trainer-best": lambda race: trainer(race, best=True),
    "litgpt": litgpt,
}
