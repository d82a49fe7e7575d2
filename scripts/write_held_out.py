"""Let a model write held-out functions of the snippets, spread over their categories, and say which of them run."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig import checkpoint
from sprig.config.evaluating import own_data, own_split
from sprig.data.documents import Document
from sprig.data.sources import snippets
from sprig.evaluation.functions import write_functions
from sprig.trace.console import visible


def spread(documents: Sequence[Document], each: int) -> list[Document]:
    """The first `each` documents of every category, no concept twice."""
    chosen: dict[str, dict[str, Document]] = {}
    for document in documents:
        category = chosen.setdefault(snippets.concept_of(document.concept).category, {})
        if len(category) < each:
            category.setdefault(document.concept, document)
    return [document for category in chosen.values() for document in category.values()]


def main() -> None:
    """Read the command line, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "ckpt", help="a checkpoint directory, a run directory, or last (default)", nargs="?", default="last"
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where runs are kept")
    parser.add_argument("--each", type=int, default=2, help="functions of each category (2)")
    options = parser.parse_args()
    loaded = checkpoint.load(checkpoint.resolve(options.ckpt, options.outputs))
    trained_on = own_data(loaded)
    if trained_on.source != "snippets":
        raise ValueError(f"{loaded.directory} was trained on {trained_on.source}: only snippets can be run and judged.")
    held_out = own_split(loaded, trained_on, options.outputs / "cache").val_documents
    written = write_functions(loaded.transformer, loaded.tokenizer, spread(held_out, options.each))
    for function in written:
        verdict = "runs" if function.runs else "fails its test inputs"
        print(f"# {verdict}\n{visible(function.header + function.completion)}")
    print(f"# {sum(function.runs for function in written)} of {len(written)} run")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"Error: {error}")
