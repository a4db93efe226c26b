"""What the return code of a process says, as `subprocess` has it: an exit status, or a signal below zero."""
from __future__ import annotations


def read_return_code(return_code: int, reason: str = "") -> tuple[str, int | None, int | None]:
    """Read the return code of a finished process.

    Args:
        return_code: Its exit status; a negative one names a signal.
        reason: Why it ended, if somebody knows better than the signal's name.

    Returns:
        The reason, the exit status if it has one, and the signal's number if one ended it.

    >>> read_return_code(-9)
    ('killed by SIGKILL', None, 9)
    """
    if return_code >= 0:
        return reason, return_code, None
    return reason or f"killed by {signal_name(-return_code)}", None, -return_code


def signal_name(number: int) -> str:
    """Name a signal.

    >>> signal_name(11)
    'SIGSEGV'
    """
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
