"""The processes of ours that clean and that encode: how many there are, and what is said of one that was ended."""

import os
import signal


def processors() -> int:
    """How many this process may use, of those that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ended_by(status: int, what: str) -> OSError:
    """The error, in one sentence, for a process that does `what` and was ended by the signal -status."""
    why = ", as a system without memory left does" if status == -signal.SIGKILL else ""
    return OSError(f"A process that {what} was ended by {signal.Signals(-status).name}{why}: try again.")
