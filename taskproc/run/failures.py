"""From the end of an attempt to the error that a person reads."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import BackendError, TaskLostError, WorkerDiedError
from ..base.outcome import Outcome
from ..base.telling import words_of
from ..store import files
from ..tasks.failed import FailedTaskError
from ..work.failing import unpickle_failure

if TYPE_CHECKING:
    from ..tasks.node import Node

_SHOWN_LINES = 10
_SHOWN_BYTES = 4000


def cause_of(outcome: Outcome, directory: str, nonce: str) -> BaseException:
    """Find out why an attempt has no result: what the task raised, or how its worker ended."""
    kept = files.load_failure(directory, nonce)
    if kept is not None:
        failure, pickled = kept
        return unpickle_failure(pickled, failure)
    if outcome.kind == "rejected":
        return BackendError(outcome.reason)
    if outcome.kind == "lost":
        return TaskLostError(outcome.reason or "its worker was lost")
    if outcome.exit_code == 1 and outcome.reason:
        return WorkerDiedError(outcome.reason)
    where = f" on {outcome.host}" if outcome.host else ""
    if outcome.signal is not None or outcome.reason:
        return WorkerDiedError(f"its worker ended{where}: {outcome.reason}")
    return WorkerDiedError(f"its worker ended{where} with exit status {outcome.exit_code} and without a result")


def failed_task(task: Node, cause: BaseException, directory: str) -> FailedTaskError:
    """Make the error of one failed task."""
    summary = words_of(cause) or type(cause).__name__
    kind = "" if isinstance(cause, (WorkerDiedError, BackendError, TaskLostError)) else f"{type(cause).__name__}: "
    lines = [f"{task!r} failed: {kind}{summary}", f"  arguments: {task.task_args}", f"  directory: {directory}"]
    tail = last_lines(f"{directory}/{files.STDERR}")
    if tail:
        lines += ["  its stderr ends with:", *(f"    {line}" for line in tail)]
    error = FailedTaskError("\n".join(lines), task=task, exception=cause, directory=Path(directory))
    error.__cause__ = cause
    return error


def last_lines(path: str) -> list[str]:
    """Read the end of a log."""
    text, _ = files.read_end(path, _SHOWN_BYTES)
    return text.splitlines()[-_SHOWN_LINES:]
