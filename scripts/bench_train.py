"""Training paces, and losses after equal times, on the same rows and the same shape: Sprig and what one would else use.

python scripts/bench_train.py                     tokens/s: contenders in turn, medians of ratios within a round
python scripts/bench_train.py --seconds 66        validation loss after so many seconds of training each, too

Who they are stands in scripts/contenders.py and scripts/peers.py. The first steps, which
warm up or compile, are not timed in the paces; the seconds of a race hold everything.
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from contenders import DEVICE, NARROW, OURS, Model, Race
from peers import PEERS
from sprig.config.building import quiet_lightning
from sprig.data.loading import BatchLoader
from sprig.data.preparation import prepare
from sprig.data.sources import stdlib
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.loss import token_losses
from sprig.training.throughput import matmul_peak, training_flops

CONTENDERS = OURS | PEERS


def bits_per_byte(race: Race, logits_of: Model) -> float:
    """Of the validation rows."""
    lengths, nats, size = torch.tensor(race.data.tokenizer.token_bytes), 0.0, 0
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16, enabled=NARROW):
        for batch in BatchLoader(race.data.val, race.batch_size, seed=None, trim=False):
            there = batch.to(torch.device(DEVICE))
            nats += token_losses(logits_of(there.input_ids), there.targets).sum().item()
            size += int(lengths[batch.targets[batch.targets >= 0]].sum())
    return nats / math.log(2) / size


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--model", default="base", help="a file of conf/model")
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="race for so long, after the paces")
    arguments = parser.parse_args()
    quiet_lightning()
    names, seq_len = arguments.contenders.split(","), arguments.seq_len
    source = stdlib.Config(limit=None, unit="function", vocab_size=4096, seq_len=seq_len, layout="packed")
    data = prepare(source, Path("outputs/cache"))
    path = Path(__file__).parents[1] / f"conf/model/{arguments.model}.yaml"
    sizes = {key: value for key, value in yaml.safe_load(path.read_text("utf-8")).items() if isinstance(value, int)}
    shape = ModelConfig(**sizes | {"vocab_size": 4096, "max_position_embeddings": seq_len})
    peak = matmul_peak(DEVICE, torch.bfloat16 if NARROW else torch.float32)
    parameters = Transformer(shape).num_parameters
    print(f"{DEVICE}, {parameters:,} parameters; matrices are multiplied at {peak / 1e9:,.0f} GFLOP/s at most")

    def run(name: str, seed: int, seconds: float | None) -> tuple[Race, Model]:
        race = Race(data, shape, arguments.batch_size, arguments.steps, seconds, seed)
        torch.manual_seed(seed)
        return race, CONTENDERS[name](race)

    paces: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(arguments.rounds):
        for name in names:
            paces[name].append(run(name, seed, None)[0].pace)
    for name in names:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(paces[names[0]], paces[name], strict=True))
        pace = statistics.median(paces[name])
        use = pace * training_flops(shape, seq_len) / peak
        print(f"{name:13} {pace:9,.0f} tokens/s  {use:4.0%} of that  {names[0]} / {name}: {ratio:.2f}", flush=True)
    for seed in range(arguments.rounds if arguments.seconds else 0):
        for name in names:
            race, logits_of = run(name, seed, arguments.seconds)
            figure = bits_per_byte(race, logits_of)
            print(f"seed {seed} {name:13} {len(race.ends) - 1:5} steps  {figure:.3f} bits per byte", flush=True)


if __name__ == "__main__":
    main()
