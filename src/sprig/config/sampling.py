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

FORMATS = ("text", "json")


def sample(settings: SampleConfig, directory: Path) -> None:
    """Continue each prompt; text prints prompt and completion, json a line for each with all that is known of it."""
    if settings.format not in FORMATS:
        raise ValueError(f"format={settings.format!r} must be one of: {', '.join(FORMATS)}.")
    settings.check()
    prompts = settings.prompt if isinstance(settings.prompt, list) else [str(settings.prompt)]
    loaded = checkpoint.load(checkpoint.resolve(settings.ckpt, Path(settings.output_dir)))
    device = building.device_of(settings.accelerator)
    generator = Generator(loaded.transformer.to(device), loaded.tokenizer)
    trace = new_trace(directory, settings.seed, device)
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
        text = result.prompt + result.completion
        # A terminal obeys control sequences, and what a model of a stranger's writes is not to be obeyed.
        sys.stdout.write(f"{visible(text) if sys.stdout.isatty() else text}\n")
