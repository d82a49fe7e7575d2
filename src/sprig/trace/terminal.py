"""A run in the terminal: its stages, its epochs, its end, and what it wrote, drawn from the records alone."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sprig.trace.chart import histogram, loss_chart
from sprig.trace.console import (
    AtLeast,
    bare_table,
    code_block,
    duration,
    figure,
    heading,
    labelled,
    number,
    one_line,
    visible,
)
from sprig.trace.metrics import shown
from sprig.trace.observations import best_epoch, validated_within_epochs
from sprig.trace.records import Epoch, Funnel, Generation, Stage, Trace, Training

LEFT_OUT = "left out: "
"""How the name of a count begins that says how much a stage left out, and for what reason."""

_INDENT = 14  # where values start, right of their labels
_MOST = 30  # counts of one kind that are shown one by one: strangers name licences


def draw_stage(stage: Stage, place: int, total: int = 6) -> RenderableType:
    """A stage in three to six lines: what went in, was done, came out; the followed sample; the counts."""
    head = Text(f"{place}/{total} {stage.name}", "bold")
    if stage.seconds is not None:
        head.append(f"  {duration(stage.seconds)}", "not bold dim")
    lines: list[RenderableType] = [
        head,
        labelled("", Text.assemble(stage.input_shape, (" → ", "dim"), stage.operation), 4),
        labelled("", Text.assemble(("→ ", "dim"), stage.output_shape), 4),
    ]
    if stage.sample is not None:
        lines.append(labelled("    sample", one_line(stage.sample), _INDENT))
    kept = {name: count for name, count in stage.counts.items() if not name.startswith(LEFT_OUT)}
    left_out = {name.removeprefix(LEFT_OUT): count for name, count in stage.counts.items() if name not in kept}
    for label, counts in (("    counts", kept), ("    left out", left_out)):
        if counts:
            said = ", ".join(f"{name} {number(count)}" for name, count in _first(counts))
            lines.append(labelled(label, said, _INDENT))
    return Group(*lines)


def draw_funnel(funnel: Funnel) -> RenderableType:
    """What became of a source's files, line by line, and how long the documents are that are left."""
    table = bare_table()
    for title in ("", "documents", "bytes", ""):
        # A column that may not wrap is the first to keep its width: no path takes the room that numbers need.
        table.add_column(title, justify="right" if title else "left", no_wrap=bool(title))

    def left_out(counts: Mapping[str, int], label: str, sign: str = "-") -> None:
        for reason, count in _first(counts):
            example = f"{funnel.examples[reason]}{' ...' if count > 1 else ''}" if reason in funnel.examples else ""
            table.add_row(
                one_line(f"  {label}: {reason}", "dim"), Text(f"{sign}{count:,}", "dim"), "", one_line(example, "dim")
            )

    left_out(funnel.unread, "passed over", "")
    table.add_row("given by the source", number(funnel.documents), number(funnel.bytes))
    left_out(funnel.dropped, "left out")
    for kind, count in _first(funnel.redacted):
        table.add_row(one_line(f"  replaced in them: {kind}", "dim"), Text(number(count), "dim"))
    if funnel.made != funnel.documents - sum(funnel.dropped.values()):
        table.add_row("functions in them", number(funnel.made), number(funnel.made_bytes))
    left_out(funnel.surplus, "left out")
    table.add_row("kept", number(funnel.kept_documents), number(funnel.kept_bytes), style="green")
    for license, count in _first(funnel.licenses):
        table.add_row(one_line(f"  under {license}", ""), number(count))
    rate = f", {funnel.bytes / 1e6 / funnel.seconds:.1f} MB/s" if funnel.seconds else ""
    facts = [
        (
            "tokens",
            f"{funnel.tokens:,}, {funnel.kept_bytes / funnel.tokens:.3f} bytes each" if funnel.tokens else "none",
        ),
        ("padding", "no rows were made" if funnel.padding is None else f"{funnel.padding:.2%} of the training rows"),
        ("took", f"{duration(funnel.seconds)}{rate}{', by an earlier run' if funnel.from_cache else ''}"),
    ]
    return Group(
        Text("Funnel", "bold"),
        table,
        Text(),
        *(labelled(label, value, _INDENT) for label, value in facts),
        Text("\nTokens of a document", "bold"),
        *histogram(funnel.lengths),
    )


def _first(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    """The first counts, and of many the sum of those that come after."""
    first, more = list(counts.items())[:_MOST], list(counts.values())[_MOST:]
    return [*first, (f"{len(more):,} others", sum(more))] if more else first


def draw_training_trace(epochs: Sequence[Epoch], monitor: str = "val/loss", mode: str = "min") -> RenderableType:
    """The table of all epochs, the best by monitor in green, the two ways to count padding, a chart of the losses."""
    head = Text("\nTraining trace", "bold")
    if not epochs:
        return Group(head, Text("    nothing was validated"))
    names = shown({name for epoch in epochs for name in epoch.metrics})
    by_step = validated_within_epochs(epochs)
    table = bare_table()
    for title in ("\nepoch", *(["\nstep"] if by_step else []), *map(heading, map(visible, names))):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("\nobservation", overflow="fold", min_width=20)
    best = best_epoch(epochs, monitor, mode)
    for epoch in epochs:
        table.add_row(
            str(epoch.epoch),
            *([f"{epoch.step:,}"] if by_step else []),
            *(figure(epoch.metrics.get(name)) for name in names),
            Text(visible(epoch.observation)),
            style="green" if epoch is best else "",
        )
    parts: list[RenderableType] = [head, AtLeast(95, table)]
    parts += _two_ways_to_count(epochs[-1])
    chart = loss_chart(epochs)
    if chart is not None:
        parts += [Text(), chart]
    return Group(*parts)


def draw_final(
    trace: Trace,
    checkpoint_path: str,
    next_commands: Sequence[str],
    monitor: str = "val/loss",
    mode: str = "min",
) -> RenderableType:
    """The end of a run: the figures of its best epoch by monitor, what it cost, and what to type next."""
    rows: list[tuple[str, str]] = []
    best = best_epoch(trace.epochs, monitor, mode)
    if best is None:
        rows.append(("best", f"none, {monitor} was not measured"))
    else:
        rows.append(("best", f"epoch {best.epoch}, step {best.step:,}, by {monitor}"))
        rows += [("", words) for words in _figures(best.metrics)]
    if trace.epochs:
        last = trace.epochs[-1]
        rate = f", {last.tokens / last.seconds:,.0f} tokens/s" if last.seconds > 0 else ""
        rows.append(("tokens", f"{last.tokens:,}, padding not counted"))
        rows.append(("training", f"{duration(last.seconds)} with validation{rate}"))
        rows += _machine(trace.training)
    if trace.run.seconds is not None:
        rows.append(("whole run", duration(trace.run.seconds)))
    # Checkpoint and commands are no rows: a row would break them into lines, no longer to be copied.
    return Group(
        Text("\nResult", "bold"),
        *(labelled(f"    {label}", value, _INDENT + 2) for label, value in rows),
        Text.assemble(("    checkpoint  ", "dim"), checkpoint_path),
        *([Text("\nNext", "bold")] if next_commands else []),
        *(Text(f"    {visible(command)}", "cyan") for command in next_commands),
    )


def _machine(training: Training) -> list[tuple[str, str]]:
    """What training made of the machine, and what did not go as it should."""
    rows = []
    if training.tokens_per_second and training.flop_utilisation and training.matmul_peak:
        compiled = ", compiled" if training.compiled else ""
        rows.append(
            (
                "pace",
                f"{training.tokens_per_second:,.0f} tokens/s in training steps{compiled}: "
                f"{training.flop_utilisation:.0%} of the {training.matmul_peak / 1e9:,.0f} GFLOP/s "
                f"at which this machine multiplies matrices",
            )
        )
    if training.peak_memory:
        rows.append(("memory", f"{training.peak_memory / 2**20:,.0f} MiB at most"))
    if training.skipped_steps:
        rows.append(("skipped", f"{training.skipped_steps:,} steps, whose gradients were not finite"))
    if training.spikes:
        steps = ", ".join(f"{spike.step:,}" for spike in training.spikes[:5])
        more = ", ..." if len(training.spikes) > 5 else ""
        rows.append(("spikes", f"of the loss at {len(training.spikes):,} steps: {steps}{more}"))
    return rows


def draw_completion(generation: Generation, note: str) -> RenderableType:
    """A prompt and the code that it became; note says what the prompt was to the model: "held out"."""
    became = code_block(generation.prompt + generation.completion)
    if generation.stop_reason != "end of text":
        became.append(f"  (stopped: {generation.stop_reason})", "dim")
    indent = max(_INDENT, len(note) + 6)
    return Group(
        labelled(f"    {note}", one_line(generation.prompt, ""), indent), labelled("    becomes", became, indent)
    )


def draw_evaluation(checkpoint_path: str, measured: str, figures: Mapping[str, float]) -> RenderableType:
    """The figures of a checkpoint on data that measured describes."""
    return Group(
        Text("Evaluation", "bold"),
        Text.assemble(("    checkpoint  ", "dim"), checkpoint_path),
        labelled("    measured on", measured, _INDENT + 2),
        *(labelled("", words, _INDENT + 2) for words in _figures(figures)),
    )


def _figures(metrics: Mapping[str, float]) -> list[str]:
    """The validation metrics, one a line, without those that count padding."""
    names = [name for name in shown(metrics) if name != "train/loss"]
    return [f"{name:{max(map(len, names))}}  {figure(metrics[name])}" for name in names]


def _two_ways_to_count(epoch: Epoch) -> list[RenderableType]:
    """The figures with and without padding, where there was enough of it to make a difference."""
    if figure(epoch.metrics.get("val/padded_loss")) in ("-", figure(epoch.metrics.get("val/loss"))):
        return []
    ways = (
        ("val/", "honest", "over tokens only, like every other figure here"),
        ("val/padded_", "padded", "over all positions, padding as guessed right: it only looks better"),
    )
    lines: list[RenderableType] = [Text(f"\nTwo ways to count the validation of epoch {epoch.epoch}")]
    for prefix, label, meaning in ways:
        loss, accuracy = epoch.metrics.get(f"{prefix}loss"), epoch.metrics.get(f"{prefix}accuracy")
        figures = f"loss {figure(loss)}  accuracy {figure(accuracy)}  "
        lines.append(labelled(f"    {label}", Text.assemble(figures, (meaning, "dim")), _INDENT))
    return lines
