"""Small random models of others, as transformers writes them, with tokenizers cut like theirs."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from random_models import randomise
from sprig.data.documents import Skips
from sprig.data.sources import snippets

FAMILIES: dict[str, type[PreTrainedConfig]] = {"qwen3": Qwen3Config, "qwen2": Qwen2Config, "llama": LlamaConfig}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
PADDED = 320
"""The models' vocabulary: a round number, larger than their tokenizers'."""

_QWEN_CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def their_tokenizer(family: str) -> tuple[Tokenizer, dict[str, Any]]:
    """A tokenizer of 300 and some tokens, and its tokenizer_config.json.

    Qwen's ids of special tokens come last, and those for filling in the middle are not marked as special; a text is
    normalised to NFC. Llama's puts a token of its own before a text.
    """
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="", ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_CUT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = [document.text for document in snippets.documents(snippets.Config(count=200), Skips())]
    tokenizer.train_from_iterator(texts, trainer)
    if family == "llama":
        tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
        tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=True),
                processors.TemplateProcessing(
                    single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 300)]
                ),
            ]
        )
        return tokenizer, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in FIM])
    end = {"__type": "AddedToken", "content": "<|im_end|>", "special": True}
    return tokenizer, {"bos_token": None, "eos_token": end, "pad_token": "<|endoftext|>"}


def write_model(directory: Path, family: str, *, shard: str = "1GB", **overrides: Any) -> None:
    """A model of two layers and a context of 64 positions; shard is the most that a file of weights holds."""
    settings: dict[str, Any] = {
        "vocab_size": PADDED,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 12 if family == "qwen3" else 8,
        "max_position_embeddings": 64,
        "rope_parameters": LLAMA3_ROPE if family == "llama" else {"rope_type": "default", "rope_theta": 500.0},
    }
    model = AutoModelForCausalLM.from_config(FAMILIES[family](**(settings | overrides)))
    randomise(model, seed=1)
    model.save_pretrained(directory, max_shard_size=shard)
    write_tokenizer(directory, *their_tokenizer(family))


def write_tokenizer(directory: Path, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
    """tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def their_logits(directory: Path, ids: torch.Tensor) -> torch.Tensor:
    """What transformers' own model makes of ids, in float32."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits
    return logits
