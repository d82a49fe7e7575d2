"""Training paces, and losses after equal times, on the same rows and the same shape: Sprig and what one would else use.

python scripts/bench_train.py                     tokens/s: contenders in turn, medians of ratios within a round
python scripts/bench_train.py --race 66           then, how much sooner Sprig reaches what each peer does in 66 s
python scripts/bench_train.py --race 66 --cold    the same where each run has to compile anew

Who they are stands in scripts/contenders.py and scripts/peers.py. The first steps, which warm up or compile, are not
timed in the paces. The seconds of a race hold everything but the measuring. For each seed each peer trains so long; the
loss that it ends at is a target. Sprig, as its own command trains, has runs of that time and of a half, a quarter ...
of it, each with a schedule of its own; when it reaches a target is read off between two of them (linear in the log of
the time).
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from contenders import OURS, RACER
from peers import PEERS
from race import DEVICE, NARROW, Model, Race
from sprig.config.building import quiet_lightning
from sprig.data.loading import BatchLoader
from sprig.data.preparation import prepare
from sprig.data.sources import stdlib
from sprig.model.config import ModelConfig
from sprig.model.transformer import Transformer
from sprig.training.loss import token_losses
from sprig.training.throughput import matmul_peak, training_flops

CONTENDERS = OURS | PEERS
MEASURED = 32  # batches
Run = Callable[[str, int, float | None], tuple[Race, Model]]
"""Trains the contender of a name from a seed, for so many seconds or Race.steps steps."""


def bits_per_byte(race: Race, logits_of: Model) -> float:
    """Of the first validation rows."""
    lengths, nats, size = torch.tensor(race.data.tokenizer.token_bytes), 0.0, 0
    rows = islice(BatchLoader(race.data.val, race.batch_size, seed=None, trim=False), MEASURED)
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16, enabled=NARROW):
        for batch in rows:
            there = batch.to(torch.device(DEVICE))
            nats += token_losses(logits_of(there.input_ids), there.targets).sum().item()
            size += int(lengths[batch.targets[batch.targets >= 0]].sum())
    return nats / math.log(2) / size


def reached_after(ladder: dict[float, float], target: float) -> float:
    """Seconds that Sprig's runs, seconds to loss, need for a target; infinite where none reaches it.

    Where the shortest does, those are its seconds, and the truth is less.
    """
    runs = sorted(ladder.items())
    if runs[0][1] <= target:
        return runs[0][0]
    for (short, worse), (long, better) in pairwise(runs):
        if better <= target:
            return math.exp(math.log(short) + (math.log(long / short)) * (worse - target) / (worse - better))
    return math.inf


def run_race(run: Run, names: list[str], seconds: float, seeds: int) -> None:
    """Print each run's loss, and of each peer the median over seeds of its time by Sprig's."""
    sooner: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(seeds):
        ladder, targets = {}, {}
        for name, time in [(RACER, seconds / 2**halving) for halving in range(5)] + [(name, seconds) for name in names]:
            race, logits_of = run(name, seed, time)
            loss = bits_per_byte(race, logits_of)
            print(
                f"seed {seed} {name:13} {time:5.0f} s {len(race.ends) - 1:5} steps  {loss:.3f} bits per byte",
                flush=True,
            )
            if name == RACER:
                ladder[time] = loss
            else:
                targets[name] = loss
        for name, target in targets.items():
            sooner[name].append(seconds / reached_after(ladder, target))
    for name, ratios in sooner.items():
        each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"{name:13} takes {statistics.median(ratios):.1f} times as long as Sprig (median of {each})")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", default=",".join(name for name in CONTENDERS if name != RACER))
    parser.add_argument("--model", default="base", help="a file of conf/model")
    parser.add_argument("--vocab-size", type=int, default=4096, help="of the model; the rows' stays 4,096")
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--race", type=float, metavar="SECONDS", help="race for so long, after the paces")
    parser.add_argument("--cold", action="store_true", help="nothing compiled before is used again")
    arguments = parser.parse_args()
    quiet_lightning()
    names, seq_len = arguments.contenders.split(","), arguments.seq_len
    source = stdlib.Config(limit=None, unit="function", vocab_size=4096, seq_len=seq_len, layout="packed")
    data = prepare(source, Path("outputs/cache"))
    path = Path(__file__).parents[1] / f"conf/model/{arguments.model}.yaml"
    sizes = {key: value for key, value in yaml.safe_load(path.read_text("utf-8")).items() if isinstance(value, int)}
    shape = ModelConfig(**sizes | {"vocab_size": arguments.vocab_size, "max_position_embeddings": seq_len})
    peak = matmul_peak(DEVICE, torch.bfloat16 if NARROW else torch.float32)
    parameters = Transformer(shape).num_parameters
    print(f"{DEVICE}, {parameters:,} parameters; matrices are multiplied at {peak / 1e9:,.0f} GFLOP/s at most")

    torch.compiler.config.force_disable_caches = arguments.cold

    def run(name: str, seed: int, seconds: float | None) -> tuple[Race, Model]:
        torch.compiler.set_stance("default")  # Sprig ends its training with what is compiled turned off
        if arguments.cold:
            torch.compiler.reset()
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
    if arguments.race:
        run_race(run, [name for name in names if name in PEERS], arguments.race, arguments.rounds)


if __name__ == "__main__":
    main()
