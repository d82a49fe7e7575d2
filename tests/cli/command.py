"""Runs Sprig as a user does: another process, a folder of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A run of seconds instead of minutes: the same way through the code, over fewer rows.
SHORT = [
    "data.batch_size=8", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "callbacks.held_out_headers=4",
]  # fmt: skip


def sprig(
    verb: str,
    *arguments: str,
    cwd: Path,
    home: Path | None = None,
    environment: dict[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """`python src/<verb>.py arguments` in cwd, logged in nowhere."""
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(home or cwd), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(ROOT / "src" / f"{verb}.py"), *arguments],
        cwd=cwd, env=plain | (environment or {}), capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that one has started itself."""
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
