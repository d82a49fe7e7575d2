"""What cleaning does to installed packages and to the standard library, and how fast: figures of docs/data.md."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.cleaning.contamination import Benchmarks
from sprig.data.cleaning.filters import all_filters
from sprig.data.cleaning.secrets import redact
from sprig.data.documents import Document, Skips
from sprig.data.sources import packages, stdlib
from sprig.data.tokenizer import CodeTokenizer


def megabytes_a_second(texts: Sequence[str], work: Callable[[str], object]) -> float:
    """Of processor time, on one core."""
    start = time.process_time()
    for text in texts:
        work(text)
    return sum(map(len, texts)) / 1e6 / (time.process_time() - start)


def thresholds(name: str) -> dict[str, float]:
    """The filters of conf/data/filters/<name>.yaml that this file adds to those it builds on."""
    path = Path(__file__).parents[1] / "conf" / "data" / "filters" / f"{name}.yaml"
    found: dict[str, float] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key != "defaults"}


def measured_filters(files: Sequence[Document]) -> None:
    """The part of files that each filter alone would drop, and what strict drops of those that standard keeps."""
    known, kept = all_filters(), list(files)
    for name in ("standard", "strict"):
        chosen = thresholds(name)
        dropped: Counter[str] = Counter()
        survivors = []
        start = time.process_time()
        for file in files:
            objections = [key for key, threshold in chosen.items() if known[key](file, threshold)]
            dropped.update(objections)
        seconds = time.process_time() - start
        for file in kept:
            if not any(known[key](file, threshold) for key, threshold in chosen.items()):
                survivors.append(file)
        for key in chosen:
            print(f"{name:>8}  {key:30} {dropped[key] / len(files):7.2%}")
        size = sum(len(file.text) for file in files) / 1e6
        print(f"{name:>8}  {'all of these, of what was left':30} {1 - len(survivors) / len(kept):7.2%}", end="")
        print(f"   {size / seconds:.0f} MB/s on one core")
        kept = survivors


def measured_secrets(files: Sequence[Document]) -> None:
    """Lines of the standard library that are touched."""
    lines = touched = 0
    kinds: Counter[str] = Counter()
    for file in files:
        text, found = redact(file.text, python=True)
        kinds += found
        before, after = Counter(file.text.split("\n")), Counter(text.split("\n"))
        lines += before.total()
        touched += (before - after).total()
    speed = megabytes_a_second([file.text for file in files], redact)
    print(f"secrets: {touched} of {lines:,} lines ({touched / lines:.3%}), {dict(kinds)}, {speed:.0f} MB/s on one core")


def measured_benchmarks(files: Sequence[Document], where: str) -> None:
    """Files that are taken for a benchmark's."""
    benchmarks = Benchmarks.load(["human-eval"])
    flagged = sum(benchmarks.overlaps(file.text) for file in files)
    print(f"human-eval: {flagged} of {len(files):,} files of {where} flagged")


def measured_encoding(files: Sequence[Document]) -> None:
    """Our way to ids beside the library's, on one core (RAYON_NUM_THREADS=1)."""
    texts = [file.text for file in files[::20]]
    tokenizer = CodeTokenizer.train(texts, 4096)
    library = tokenizer._tokenizer
    ways = {
        "encode_from": lambda text: list(tokenizer.encode_from([(text, 0)])),
        "encode_batch": lambda text: library.encode_batch([text], add_special_tokens=False)[0].ids,
        "encode_batch_fast": lambda text: library.encode_batch_fast([text], add_special_tokens=False)[0].ids,
    }
    print("encoding: " + ", ".join(f"{name} {megabytes_a_second(texts, way):.1f} MB/s" for name, way in ways.items()))


def main() -> None:
    """Measure one after the other."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    installed = list(packages.documents(packages.Config(), Skips()))
    print(f"{len(installed):,} files of packages, {sum(len(file.text) for file in installed) / 1e6:.0f} MB")
    own = list(stdlib.documents(stdlib.Config(), Skips()))
    measured_filters(installed)
    measured_secrets(own)
    measured_benchmarks(own, "the standard library")
    measured_benchmarks(installed, "packages")
    measured_encoding(installed)


if __name__ == "__main__":
    main()
