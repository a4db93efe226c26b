"""How an attempt ended, as its worker tells it: unpickled at the other end, it is an `Outcome`.

`Outcome` is a dataclass, and importing what makes one takes longer than many a task.
"""
from __future__ import annotations

from .exit_status import read_return_code
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
    return Ended("ended", *read_return_code(return_code, reason))
