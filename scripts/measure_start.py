"""How long a run takes from its command to its first step, three times: python scripts/measure_start.py data=packages

Takes the settings of `train.py`. Data that is not in the cache yet is prepared before, in a run that does not count.
"""

import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = 3
MARK = "first step:"


def timed(began: float, arguments: list[str]) -> None:
    """Train, and print the seconds from began on at which the first step begins and ends."""
    sys.path.insert(0, str(ROOT / "src"))
    from sprig.training.module import LanguageModelling

    begin, end = LanguageModelling.training_step, LanguageModelling.on_train_batch_end
    seconds: list[float] = []

    def training_step(self: Any, *rest: Any) -> Any:
        seconds.append(time.time() - began)
        return begin(self, *rest)

    def on_train_batch_end(self: Any, *rest: Any) -> None:
        end(self, *rest)
        if len(seconds) == 1:
            print(f"\n{MARK} {seconds[0]} {time.time() - began}", flush=True)

    LanguageModelling.training_step = training_step  # type: ignore[method-assign]
    LanguageModelling.on_train_batch_end = on_train_batch_end  # type: ignore[method-assign]
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(ROOT / "src" / "train.py"), run_name="__main__")


def main() -> None:
    """Start runs of two steps, and measure all but the first."""
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return
    if sys.argv[1:2] == ["timed"]:
        timed(float(sys.argv[2]), sys.argv[3:])
        return
    found: list[list[float]] = []
    with tempfile.TemporaryDirectory() as place:
        # Not in outputs, whose newest run would be gone.
        apart = [f"output_dir={place}", "cache_dir=outputs/cache"]
        short = ["trainer.max_epochs=null", "trainer.max_steps=2", "trainer.limit_val_batches=1", "prompts=[]"]
        short.append("callbacks.held_out_headers=0")
        for number in range(RUNS + 1):
            settings = [*apart, *sys.argv[1:], *short, f"hydra.run.dir={place}/{number}"]
            command = [sys.executable, __file__, "timed", str(time.time()), *settings]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  this very script
            lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
            if not lines:
                sys.exit(done.stderr)
            found.append(list(map(float, lines[0].removeprefix(MARK).split())))
    for name, seconds in zip(("begins", "has ended"), zip(*found[1:], strict=True), strict=True):
        each = ", ".join(f"{value:.1f}" for value in seconds)
        print(f"the first step {name} after {statistics.median(seconds):.1f} s (median of {each})")


if __name__ == "__main__":
    main()
