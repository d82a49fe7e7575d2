"""The first three stages of a run, described for the trace with the numbers of its own data."""

from sprig.data.prepared import Prepared
from sprig.trace.records import Stage


def stages_of(prepared: Prepared, learnt: bool, seconds: dict[str, float]) -> list[Stage]:
    """The first three; seconds of collect, learn and pack. learnt: whether the vocabulary was, or given."""
    config, tokenizer, funnel, sample = prepared.config, prepared.tokenizer, prepared.funnel, prepared.sample
    # Prepared elsewhere, the part that was asked for is not known here, nor is the number of tokens.
    held_out, rows = len(prepared.val_documents), sum(prepared.train.counts(0))
    share = held_out / funnel.kept_documents
    ids = tokenizer.encode(sample.text)
    total = f"{funnel.kept_documents:,} documents"
    fewer = config.source != "prepared" and tokenizer.vocab_size < config.vocab_size
    asked = f" (of {config.vocab_size:,}: it has pairs for no more)" if fewer else ""
    vocabulary = (
        f"learn {tokenizer.vocab_size:,} tokens{asked} from the training side"
        if learnt
        else f"take the {tokenizer.vocab_size:,} tokens of the given tokenizer"
    )
    again = ", taken from the cache" if funnel.from_cache else ""
    return [
        Stage(
            name="Raw code dataset",
            input_shape=f"source {config.source}",
            operation=f"collect, clean, drop duplicates, hold out {share:.0%} by group{again}",
            output_shape=f"{total} x 1 column (code text): {funnel.kept_documents - held_out:,} to train on, "
            f"{held_out:,} held out",
            seconds=seconds["collect"],
            sample=sample.text,
            counts={
                "kept": funnel.kept_documents,
                "bytes": funnel.kept_bytes,
                **{f"replaced: {kind}": count for kind, count in funnel.redacted.items()},
                **{f"left out: {reason}": count for reason, count in funnel.left_out.most_common()},
            },
        ),
        Stage(
            name="Preprocessing",
            input_shape=f"{total} x 1 column",
            operation=f"{vocabulary}, cut text into tokens{again}",
            output_shape=f"{total}, {funnel.tokens / funnel.kept_documents:.1f} tokens each",
            seconds=seconds["learn"],
            sample=" ".join(map(repr, tokenizer.tokens(ids))),
            counts={
                "vocabulary": tokenizer.vocab_size,
                "tokens": funnel.tokens,
                "bytes per token": funnel.kept_bytes / funnel.tokens,
            },
        ),
        Stage(
            name="Feature engineering",
            input_shape=f"{total}, tokens",
            operation=f"tokens to numeric ids, {config.layout} rows",
            output_shape=f"{rows + len(prepared.val):,} rows x {config.seq_len} integers",
            seconds=seconds["pack"],
            sample=str([*ids, tokenizer.end_of_text, *[tokenizer.pad] * (config.seq_len - len(ids) - 1)]),
            counts={"training rows": rows, "validation rows": len(prepared.val), "padding": funnel.padding or 0.0},
        ),
    ]
