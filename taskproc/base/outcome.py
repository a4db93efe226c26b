"""How an attempt ended, as a worker or a backend tells it."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .exit_status import read_return_code
from .telling import told


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. Never "success": the core looks for this attempt's result on disk.

    Args:
        kind: `ended`: the worker ended, well or not. `rejected`: the attempt was never taken, and would not be.
            `cancelled`: it was ended on our own request. `lost`: not the task's fault, try again.
        reason: The scheduler's or the system's own words.
        exit_code: The exit status of the worker, if it had one.
        signal: The number of the signal that ended the worker.
        host: Where it ran.
        value: A small pickled result, handed back for a packed store.

    Example:
        >>> Outcome("ended", exit_code=0).kind
        'ended'
    """

    kind: Literal["ended", "rejected", "cancelled", "lost"]
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    host: str = ""
    value: bytes = field(default=b"", repr=False)

    @classmethod
    def of_process(cls, return_code: int, reason: str = "") -> Outcome:
        """Read the return code of a finished process; a negative one names a signal, as in `subprocess`.

        >>> Outcome.of_process(-9)
        Outcome(kind='ended', reason='killed by SIGKILL', exit_code=None, signal=9, host='')
        """
        return cls("ended", *read_return_code(return_code, reason))

    @classmethod
    def of_error(cls, kind: Literal["rejected", "lost"], error: BaseException, what: str = "") -> Outcome:
        """Say that an attempt was not taken, or was lost, by an exception; one whose own text fails will do.

        Args:
            kind: As above.
            error: The exception.
            what: What failed by it.

        >>> Outcome.of_error("rejected", OSError("no space"))
        Outcome(kind='rejected', reason='OSError: no space', exit_code=None, signal=None, host='')
        """
        return cls(kind, f"{what}: {told(error)}" if what else told(error))
