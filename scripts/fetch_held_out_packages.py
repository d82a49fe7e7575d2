"""Fetches the eleven packages that docs/performance.md measures on: code that no model of ours was trained on.

python scripts/fetch_held_out_packages.py code/held_out
python src/evaluate.py ckpt=last data=folder data.path=code/held_out data.filters=none data.syntax=false \\
    data.redact=false data.near_duplicates=null
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = (
    "click==8.5.1",
    "anyio==4.16.0",
    "jsonschema==4.26.0",
    "markdown-it-py==4.3.0",
    "starlette==1.10.0",
    "uvicorn==0.54.0",
    "h11==0.16.0",
    "attrs==26.1.0",
    "pluggy==1.7.0",
    "filelock==4.2.11",
    "idna==3.20",
)


def main() -> None:
    """Download the wheels with pip, unpack their .py files, say how many bytes they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as wheels:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", wheels]
        if code := subprocess.run([*pip, *PACKAGES], check=False).returncode:  # noqa: S603  a list of our own
            sys.exit(code)  # pip has said why
        for wheel in sorted(Path(wheels).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])
    files = list(folder.rglob("*.py"))
    print(f"{len(files):,} files, {sum(file.stat().st_size for file in files):,} bytes in {folder}")


if __name__ == "__main__":
    main()
