"""`sample.py`: a checkpoint and prompts in, code out, on the terminal or as JSON lines."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from sprig import checkpoint
from sprig.config import building
from sprig.config.run_directory import new_trace
from sprig.config.schema import SampleConfig
from sprig.generation.generator import Generator
from sprig.trace import prediction
from sprig.trace.console import open_console, visible
from sprig.trace.records import Generation

FORMATS = ("text", "json")


def sample(settings: SampleConfig, directory: Path) -> None:
    """Continue each prompt; text prints prompt and completion, json a line for each with all that is known of it.

    On a terminal the text of a single completion appears as it is written.
    """
    if settings.format not in FORMATS:
        raise ValueError(f"format={settings.format!r} must be one of: {', '.join(FORMATS)}.")
    settings.check()
    prompts = settings.prompt if isinstance(settings.prompt, list) else [str(settings.prompt)]
    loaded = checkpoint.load(checkpoint.resolve(settings.ckpt, Path(settings.output_dir)))
    device = building.device_of(settings.accelerator)
    generator = Generator(loaded.transformer.to(device), loaded.tokenizer)
    trace = new_trace(directory, settings.seed, device)
    watched = settings.format == "text" and not settings.trace and sys.stdout.isatty()
    if watched and len(prompts) == settings.num_samples == 1:
        trace.generation = [_stream(generator, prompts[0], settings)]
        trace.save(directory / "trace.json")
        return
    trace.generation = generator.generate(prompts, settings, trace=settings.trace)
    trace.save(directory / "trace.json")
    console = open_console()
    for number, result in enumerate(trace.generation):
        if settings.format == "json":
            line = {name: value for name, value in asdict(result).items() if name != "tokens" or settings.trace}
            sys.stdout.write(json.dumps(line) + "\n")
            continue
        if settings.trace:
            console.print(prediction.draw_prediction(result))
        elif number:
            sys.stdout.write("\n")
        _write(f"{result.prompt}{result.completion}\n")


def _stream(generator: Generator, prompt: str, settings: SampleConfig) -> Generation:
    """One completion, each piece of it written as it comes."""
    open_console()  # for characters that the terminal has not
    pieces = generator.stream(prompt, settings)  # ValueError for a prompt that is refused
    _write(prompt)
    try:
        while True:
            _write(next(pieces))
    except StopIteration as end:
        whole: Generation = end.value
        return whole
    finally:
        _write("\n")


def _write(code: str) -> None:
    """A terminal obeys control sequences, and what a model of a stranger's writes is not to be obeyed."""
    sys.stdout.write(visible(code) if sys.stdout.isatty() else code)
    sys.stdout.flush()
