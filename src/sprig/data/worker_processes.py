"""What is said of a process of ours that did not end by itself: those that clean and those that encode."""

import signal


def ended_by(status: int, what: str) -> OSError:
    """The error, in one sentence, for a process that does `what` and was ended by the signal -status."""
    why = ", as a system without memory left does" if status == -signal.SIGKILL else ""
    return OSError(f"A process that {what} was ended by {signal.Signals(-status).name}{why}: try again.")
