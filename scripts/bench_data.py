"""How fast data is prepared and read, in how much memory, beside the library `datasets` doing what it can of the same.

python scripts/bench_data.py prepare     all packages of this environment: seconds, MB/s, peak memory, second run
python scripts/bench_data.py memory      1, 4 and 16 times a corpus, no copy like another: peak memory
python scripts/bench_data.py read        rows/s of our memory maps and of Arrow
"""

import argparse
import io
import json
import keyword
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.documents import Document, Skips
from sprig.data.preparation import prepare
from sprig.data.sources import jsonl, packages

CLEANING = {"syntax": True, "redact": True, "near_duplicates": 0.7, "vocab_size": 4096, "seq_len": 256}
FILTERS = yaml.safe_load((Path(__file__).parents[1] / "conf/data/filters/standard.yaml").read_text(encoding="utf-8"))
_NAME = re.compile(r"\b[a-z_]{4,}\b")


def child(measure: str, *arguments: str) -> dict[str, float]:
    """Run `measure` in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, __file__, measure, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  this very script
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def one(config_json: str, cache: str) -> None:
    """Prepare once and print seconds and memory, of this process and of its largest worker."""
    settings = json.loads(config_json)
    config = (packages if settings.pop("source") == "packages" else jsonl).Config(**settings)
    start = time.perf_counter()
    prepared = prepare(config, Path(cache))
    seconds = time.perf_counter() - start
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    megabytes = {"peak": own / 1024, "worker": workers / 1024}
    kept = {"bytes": prepared.funnel.bytes, "tokens": prepared.funnel.tokens}
    print(json.dumps({"seconds": seconds} | kept | megabytes))


def measured_prepare(work: Path) -> None:
    """All packages, cold and from the cache."""
    settings = json.dumps({"source": "packages", "layout": "packed", "filters": FILTERS} | CLEANING)
    for name in ("first", "second"):
        result = child("one", settings, str(work / "cache"))
        rate = f"{result['bytes'] / 1e6 / result['seconds']:.1f} MB/s"
        print(
            f"packages, {name} run: {result['seconds']:.1f} s for {result['bytes'] / 1e6:.0f} MB ({rate}), "
            f"{result['tokens'] / 1e6:.1f} M tokens, peak {result['peak']:.0f} MiB, worker {result['worker']:.0f} MiB"
        )


def copies(files: list[Document], count: int) -> Iterator[Document]:
    """The files, count times; each copy has names of its own, so that none is a duplicate."""
    for number in range(count):
        for file in files:
            renamed = _NAME.sub(
                lambda name, n=number: name[0] if keyword.iskeyword(name[0]) or not n else f"{name[0]}{n}", file.text
            )
            yield Document(renamed, f"{number}/{file.path}", f"{number}/{file.group}")


def measured_memory(work: Path, megabytes: float) -> None:
    """The same way through 1, 4 and 16 times a corpus."""
    files, size = [], 0.0
    for file in packages.documents(packages.Config(), Skips()):
        files.append(file)
        size += len(file.text) / 1e6
        if size > megabytes:
            break
    for count in (1, 4, 16):
        corpus = work / f"corpus{count}.jsonl"
        with corpus.open("w", encoding="utf-8") as out:
            for file in copies(files, count):
                row = {"content": file.text, "path": file.path, "group": file.group}
                out.write(json.dumps(row) + "\n")
        columns = {"path": str(corpus), "path_column": "path", "group_column": "group"}
        settings = json.dumps({"source": "jsonl", "layout": "packed", "filters": FILTERS} | columns | CLEANING)
        result = child("one", settings, str(work / "cache"))
        print(
            f"{count:>2} x: {result['bytes'] / 1e6:6.0f} MB in {result['seconds']:6.1f} s, "
            f"peak {result['peak']:.0f} MiB, worker {result['worker']:.0f} MiB"
        )
        shutil.rmtree(work / "cache")


def measured_read(work: Path) -> None:
    """Batches of 16 rows of 257 ids in random order: our corpus, and the same rows as an Arrow dataset."""
    from datasets import Dataset

    prepared = prepare(packages.Config(layout="packed", filters=FILTERS, **CLEANING), work / "cache")
    counts = prepared.train.counts(0)
    rows = prepared.train.rows(0, counts.index(max(counts)))
    count = min(len(rows), 48_000) // 16 * 16
    numbers = np.random.default_rng(0).permutation(count).reshape(-1, 16)
    arrow = work / "arrow"
    Dataset.from_dict({"ids": rows.read(np.arange(count)).ids.astype(np.uint16)}).save_to_disk(arrow)
    theirs = Dataset.load_from_disk(str(arrow)).with_format("numpy")
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "memory map": rows.read,
        "datasets": lambda wanted: theirs[wanted]["ids"],
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, read in ways.items():
            start = time.perf_counter()
            for wanted in numbers:
                read(wanted)
            speeds[name].append(numbers.size / (time.perf_counter() - start))
    for name, found in speeds.items():
        print(f"{name}: {statistics.median(found):,.0f} rows/s, median of {len(found)}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "memory", "read", "one"])
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--megabytes", type=float, default=20, help="size of the corpus that `memory` multiplies (20)")
    options = parser.parse_args()
    if options.what == "one":
        one(*options.arguments)
        return
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)
    with tempfile.TemporaryDirectory() as work:
        if options.what == "memory":
            measured_memory(Path(work), options.megabytes)
        else:
            {"prepare": measured_prepare, "read": measured_read}[options.what](Path(work))


if __name__ == "__main__":
    main()
