"""Runs one payload, in this process or, where it needs one of its own, beside it."""
from __future__ import annotations

from collections.abc import Callable

from ..base.ended import Ended, as_outcome
from . import worker
from .handover import Assignment, read_payload
from .worker import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..base.outcome import Outcome
    from .worker import Capture


def execute(payload: bytes, capture: Capture, on_nested: Callable[[], None] | None = None) -> Outcome:
    """Run one pickled worker here.

    Args:
        payload: As `Job.payload` makes it.
        capture: `fd`: redirect descriptors 1 and 2, in a process that runs nothing else. `thread`: route what Python
            prints in this thread. `none`: leave the terminal to the task.
        on_nested: Called, from any thread, when the task runs a graph of its own. No job may be left waiting behind
            this one then, since the task may wait for that very job.

    Returns:
        How it ended. Whether it succeeded is for the core to see from the result.
    """
    return as_outcome(*run_assignment(*read_payload(payload), capture, on_nested))


def run_assignment(
    assignment: Assignment, body: bytes, capture: Capture, on_nested: Callable[[], None] | None = None
) -> Ended:
    """Run a payload that was taken apart already."""
    if capture != "none" and (assignment.prefix or (assignment.timeout and not worker.watched)):
        from .subprocess import run_apart

        return run_apart(assignment, body, on_nested)
    return Attempt(assignment, body, on_nested).run(capture)


def cancel_execution(nonce: str) -> None:
    """End the process of its own that `execute` gives to an attempt, or keep it from starting.

    An attempt that a thread of this process runs cannot be ended; it keeps nothing from now on.

    Args:
        nonce: The attempt's, as in `Job.nonce`.
    """
    from .subprocess import cancel

    for attempt in list(worker.running):
        if attempt.assignment.nonce == nonce:
            attempt.revoke()
    cancel(nonce)
