"""`prepare.py`: a source made ready for training, and the funnel that shows what became of it."""

from pathlib import Path

from sprig import checkpoint
from sprig.config.checks import check_data
from sprig.config.run_directory import new_trace
from sprig.config.schema import PrepareConfig
from sprig.config.vocabulary import settled
from sprig.data import preparation
from sprig.trace import terminal
from sprig.trace.console import open_console


def prepare(settings: PrepareConfig, directory: Path) -> None:
    """Prepare the data that a run with these settings would train on, print its funnel and keep it in trace.json."""
    given = None
    if settings.model.init_from is not None:
        given = checkpoint.load_from_elsewhere(settings.model.init_from).tokenizer
    data = settled(settings.data, settings.model)
    check_data(data)
    trace = new_trace(directory, settings.data.seed, None)
    prepared = preparation.prepare(data, Path(settings.cache_dir), given)
    trace.stages, trace.data = prepared.stages, prepared.funnel
    trace.save(directory / "trace.json")
    console = open_console()
    console.print(terminal.draw_funnel(prepared.funnel))
    console.print(f"Kept in {prepared.folder}")
