"""From the end of an attempt to the error that a person reads."""
from __future__ import annotations

import pickle
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BackendError, FailedTaskError, TaskLostError, WorkerDiedError
from .location import Location, located, restore
from .outcome import Outcome
from .store import files
from .worker import unpickle_failure

if TYPE_CHECKING:
    from .task import TaskBase

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


def failed_task(task: TaskBase[Any], cause: BaseException, directory: str) -> FailedTaskError:
    """Make the error of one failed task."""
    summary = str(cause) or type(cause).__name__
    kind = "" if isinstance(cause, (WorkerDiedError, BackendError, TaskLostError)) else f"{type(cause).__name__}: "
    lines = [f"{task!r} failed: {kind}{summary}", f"  arguments: {task.task_args}", f"  directory: {directory}"]
    tail = last_lines(f"{directory}/{files.STDERR}")
    if tail:
        lines += ["  its stderr ends with:", *(f"    {line}" for line in tail)]
    error = FailedTaskError("\n".join(lines), task=task, exception=cause, directory=Path(directory))
    error.__cause__ = cause
    return error


def portable(error: FailedTaskError) -> dict[str, Any]:
    """Give a failure's task and exception so that they can be pickled, if need be with less behind them."""
    task, exception = error.task, error.exception
    return {
        "task": task if _can_be_pickled(task) else _StandIn(task),
        "exception": exception if _can_be_pickled(exception) else RuntimeError(_in_words(exception)),
    }


class _StandIn:
    """Pickles a task whose class no other process can find: with a class of the same name in its place."""

    def __init__(self, task: TaskBase[Any]) -> None:
        self._task = task

    def __reduce__(self) -> tuple[Any, ...]:
        cls = type(self._task)
        return _stand_in, (cls.__module__, cls.__qualname__, located(self._task))


def _stand_in(module: str, name: str, location: Location) -> TaskBase[Any]:
    from .task import TaskBase

    cls = types.new_class(name, (TaskBase,), exec_body=lambda body: body.update(__module__=module, __qualname__=name))
    return restore(cls, location)


def _in_words(error: BaseException) -> str:
    return f"{type(error).__qualname__}: {error}"


def _can_be_pickled(value: Any) -> bool:
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        return False
    return True


def last_lines(path: str) -> list[str]:
    """Read the end of a log."""
    text, _ = files.read_end(path, _SHOWN_BYTES)
    return text.splitlines()[-_SHOWN_LINES:]
