"""How long something may take, in the machine's own pace.

The paces of machines differ by a factor of three and more, and a busy one is slow at everything: a bound in seconds
says as much about the machine as about the code. A text that costs the square of its length is over any bound here.
"""

import re
import sysconfig
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

_WORD = re.compile(r"\w+")


def no_longer_than_the_words_of(megabytes: float, work: Callable[[], object]) -> bool:
    """Whether work needs less processor time than to replace each word of so many megabytes of code, as two are
    measured the moment after it: 0.03 s each on a fast machine, 0.06 s on a slow one. The best of three counts.
    """
    code = _two_megabytes()
    return any(_seconds(work) < megabytes / 2 * _seconds(lambda: _WORD.sub("", code)) for _ in range(3))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@cache
def _two_megabytes() -> str:
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    code = "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    return code[:2_000_000]
