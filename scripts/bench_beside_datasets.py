"""The same preparation by Sprig and by `datasets`: JSON lines -> filters -> exact duplicates -> tokens -> rows.

python scripts/bench_beside_datasets.py             in turn, three rounds: medians, and the median of their ratios

Of what Sprig does, only what `datasets` can do as well: the standard filters (the same functions), exact duplicates
(the same key), one tokenizer that both are given, rows of 257 ids. No secrets, no syntax, no near duplicates, no split
by group. Sprig packs; `datasets` cuts the stream of ids into rows, as run_clm.py of transformers does.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.data.cleaning.filters import all_filters
from sprig.data.deduplication import text_key
from sprig.data.documents import Document, Skips
from sprig.data.preparation import prepare
from sprig.data.sources import jsonl, packages
from sprig.data.tokenizer import CodeTokenizer

FILTERS = yaml.safe_load((Path(__file__).parents[1] / "conf/data/filters/standard.yaml").read_text(encoding="utf-8"))
WORKERS, WIDTH = os.cpu_count() or 1, 257


def write_corpus(path: Path, megabytes: float) -> list[str]:
    """Files of installed packages as JSON lines; some of their texts, to learn a vocabulary from."""
    size, texts = 0, []
    with path.open("w", encoding="utf-8") as out:
        for file in packages.documents(packages.Config(), Skips()):
            out.write(json.dumps({"content": file.text, "path": file.path}) + "\n")
            size += len(file.text)
            texts.append(file.text)
            if size > megabytes * 1e6:
                break
    return texts[:500]


def by_sprig(corpus: Path, tokenizer: CodeTokenizer, work: Path) -> int:
    """Tokens kept."""
    config = jsonl.Config(
        path=str(corpus), path_column="path", filters=FILTERS, seq_len=WIDTH - 1, layout="packed", batch_size=1
    )
    return prepare(config, work / "cache", tokenizer).funnel.tokens


def by_datasets(corpus: Path, tokenizer: CodeTokenizer, work: Path) -> int:
    """Tokens kept."""
    from datasets import load_dataset
    from tokenizers import Tokenizer

    tokenizer.save(work)
    plain = Tokenizer.from_file(str(work / "tokenizer.json"))
    plain.encode_special_tokens = True
    filters = [(all_filters()[name], value) for name, value in FILTERS.items()]
    end = tokenizer.end_of_text

    def keep(row: dict[str, Any]) -> bool:
        file = Document(row["content"], row["path"], row["path"])
        return not any(objection(file, threshold) for objection, threshold in filters)

    def encode(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = plain.encode_batch_fast(rows["content"], add_special_tokens=False)
        return {"ids": [[*one.ids, end] for one in encoded]}

    def cut(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = list(chain.from_iterable(rows["ids"]))
        return {"ids": [ids[start : start + WIDTH] for start in range(0, len(ids), WIDTH)]}

    seen: set[str] = set()

    def new(key: str) -> bool:
        return not (key in seen or seen.add(key))

    data = load_dataset("json", data_files=str(corpus), split="train", cache_dir=str(work / "cache"))
    data = data.filter(keep, num_proc=WORKERS)
    data = data.map(lambda row: {"key": text_key(row["content"])}, num_proc=WORKERS)
    data = data.filter(new, input_columns="key")
    data = data.map(encode, batched=True, num_proc=WORKERS, remove_columns=data.column_names)
    rows = data.map(cut, batched=True, num_proc=WORKERS)
    return sum(len(ids) for ids in rows.with_format("numpy")["ids"])


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    ways: dict[str, Callable[[Path, CodeTokenizer, Path], int]] = {"sprig": by_sprig, "datasets": by_datasets}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as place:
        corpus = Path(place) / "corpus.jsonl"
        tokenizer = CodeTokenizer.train(write_corpus(corpus, options.megabytes), 4096)
        for _ in range(options.rounds):
            for name, way in ways.items():
                work = Path(place) / name
                work.mkdir()
                start = time.perf_counter()
                tokens = way(corpus, tokenizer, work)
                seconds[name].append(time.perf_counter() - start)
                print(f"{name}: {seconds[name][-1]:.1f} s, {tokens / 1e6:.2f} M tokens", flush=True)
                shutil.rmtree(work)
    for name, found in seconds.items():
        print(f"{name}: {statistics.median(found):.1f} s, median of {len(found)}")
    ratio = statistics.median(theirs / ours for ours, theirs in zip(*seconds.values(), strict=True))
    print(f"datasets / sprig: {ratio:.2f}")


if __name__ == "__main__":
    main()
