"""The compiler that PyTorch hands its code to: whether there is one, and whether what it builds can be loaded."""

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_SECONDS = 60
_SOURCE = "#include <Python.h>\nint one(void) { return 1; }\n"


def missing(device: str) -> str:
    """The compiler, or Python's own headers, where PyTorch does not find them; else "".

    On a processor that is one for C++ (torch._inductor.config.cpp.cxx), on a GPU one for the C that starts kernels
    (Triton).
    """
    names = _names(device)
    if not any(map(shutil.which, names)):
        return names[0]
    there = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return "" if there else "Python.h (Debian's python3-dev)"


def failing(device: str) -> str:
    """What goes wrong when a few lines are compiled where PyTorch keeps what it builds, and loaded; else "".

    A broken compiler, a full disk, or one from which nothing may be loaded would end a run amid its steps.
    """
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    if lacking := missing(device):
        return f"{lacking} is missing"
    compiler = next(filter(shutil.which, _names(device)))
    try:
        with tempfile.TemporaryDirectory(dir=cache_dir()) as place:
            source, built = f"{place}/one.{'cpp' if device == 'cpu' else 'c'}", f"{place}/one.so"
            Path(source).write_text(_SOURCE, encoding="ascii")
            command = [compiler, "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", source, "-o", built]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
            if done.returncode:
                return next(iter(done.stderr.strip().splitlines()), f"{compiler} ends with {done.returncode}")
            ctypes.CDLL(built)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""


def _names(device: str) -> list[str]:
    if device == "cpu":
        return [os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")]
    return [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
