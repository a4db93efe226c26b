"""How an attempt ended, as its worker tells it: unpickled at the other end, it is an `Outcome`.

`Outcome` is a dataclass, and importing what makes one takes longer than many a task.
"""
from __future__ import annotations

from .lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .outcome import Outcome

# The exit status of a worker on a cluster that found a task begun by an earlier copy of itself: EX_TEMPFAIL.
BEGUN_BEFORE = 75


class Ended(NamedTuple):
    """The fields of an `Outcome`, in its order."""

    kind: str = "ended"
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    host: str = ""
    value: bytes = b""

    def __reduce__(self) -> tuple[Any, ...]:
        return as_outcome, tuple(self)


def as_outcome(*fields: Any) -> Outcome:
    """Make an `Outcome` of its fields, in their order."""
    from .outcome import Outcome

    return Outcome(*fields)


def of_process(return_code: int, reason: str = "") -> Ended:
    """Read the return code of a finished process; a negative one names a signal, as in `subprocess`."""
    if return_code >= 0:
        return Ended(reason=reason, exit_code=return_code)
    return Ended(reason=reason or f"killed by {signal_name(-return_code)}", signal=-return_code)


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
