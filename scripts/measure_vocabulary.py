"""Which vocabulary gives a model of some size the fewest bits per byte for the same work: the figures behind
data.vocab_size=auto.

python scripts/measure_vocabulary.py                        every model and size below, one after the other
python scripts/measure_vocabulary.py --models small --sizes 2048,4096 --seeds 0,1

Each run is `experiment=five_minutes` ended after so many steps that the floating-point operations of all runs of a
model are equal, so that what else the machine does has no say.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sprig.model.config import ModelConfig
from sprig.training.throughput import training_flops

ROOT = Path(__file__).parents[1]
PLAN = {
    "tiny": (6e12, (512, 1024, 2048, 4096)),
    "small": (2.5e13, (1024, 2048, 4096, 8192)),
    "base": (6e13, (2048, 4096, 8192, 16384)),
}
"""Of each model: FLOPs of a run, which two cores do in some minutes, and vocabularies to try."""
SEQ_LEN, BATCH_SIZE = 256, 8


def run(model: str, vocab_size: int, flops: float, seed: int) -> tuple[int, float]:
    """Steps and validation bits per byte of one run."""
    settings = yaml.safe_load((ROOT / f"conf/model/{model}.yaml").read_text(encoding="utf-8"))
    sizes = {key: value for key, value in settings.items() if isinstance(value, int)}
    shape = ModelConfig(**sizes | {"vocab_size": vocab_size, "max_position_embeddings": SEQ_LEN})
    steps = round(flops / (training_flops(shape, SEQ_LEN) * SEQ_LEN * BATCH_SIZE))
    with tempfile.TemporaryDirectory() as place:
        settings = {
            "experiment": "five_minutes",
            "model": model,
            "data.vocab_size": vocab_size,
            "data.seq_len": SEQ_LEN,
            "data.batch_size": BATCH_SIZE,
            "trainer.max_time": "null",
            "trainer.max_steps": steps,
            "seed": seed,
            "logger": "csv",
            "callbacks.progress": "false",
            "output_dir": place,
            "cache_dir": ROOT / "outputs/cache",
        }
        command = [sys.executable, str(ROOT / "src/train.py"), *(f"{key}={value}" for key, value in settings.items())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own script
        if done.returncode:
            raise SystemExit(done.stderr)
        trace = json.loads((Path(place) / "latest" / "trace.json").read_text(encoding="utf-8"))
    return steps, trace["final"]["val/bits_per_byte"]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(PLAN))
    parser.add_argument("--sizes", help="vocabularies, instead of each model's own")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--times", type=float, default=1, help="so many times the work (1)")
    arguments = parser.parse_args()
    for model in arguments.models.split(","):
        flops, sizes = PLAN[model]
        for vocab_size in map(int, arguments.sizes.split(",")) if arguments.sizes else sizes:
            for seed in map(int, arguments.seeds.split(",")):
                steps, figure = run(model, vocab_size, flops * arguments.times, seed)
                print(f"{model:6} {vocab_size:6} tokens  seed {seed}  {steps:5} steps  {figure:.3f} bpb", flush=True)


if __name__ == "__main__":
    main()
