"""The error of a task that failed, which must reach any process whole: in it, classes may be strangers."""
from __future__ import annotations

from ..base.errors import TaskprocError
from ..base.lean import pickle
from ..base.telling import told
from .node import Node, located, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from .location import Location


class FailedTaskError(TaskprocError):
    """A task failed.

    Attributes:
        task: The failed task (in another process: a light stand-in with its name, arguments and directory).
        exception: What the task raised, or the reason why its worker ended.
        directory: The instance directory, with the logs.

    Example:
        >>> from taskproc import TaskBase
        >>> class Doomed(TaskBase):
        ...     def run_task(self) -> None:
        ...         raise ValueError("no such data")
        >>> try:
        ...     Doomed().run_graph(backend="thread")
        ... except FailedTaskError as error:
        ...     print(error.task, repr(error.exception))
        Doomed() ValueError('no such data')
    """

    __module__ = "taskproc"

    def __init__(self, message: str, *, task: Node, exception: BaseException, directory: Path) -> None:
        super().__init__(message)
        self.task = task
        self.exception = exception
        self.directory = directory

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, {**self.__dict__, **_portable(self)})


class FailedTasksError(FailedTaskError):
    """Several tasks failed. `task`, `exception` and `directory` are those of the first.

    Attributes:
        failures: One `FailedTaskError` for each.
    """

    __module__ = "taskproc"

    def __init__(self, failures: Sequence[FailedTaskError]) -> None:
        first = failures[0]
        message = f"{len(failures)} tasks failed:\n" + "\n".join(f"- {failure}" for failure in failures)
        super().__init__(message, task=first.task, exception=first.exception, directory=first.directory)
        self.failures = list(failures)


def _restore(kind: type[FailedTaskError], args: tuple[Any, ...], state: dict[str, Any]) -> FailedTaskError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _portable(error: FailedTaskError) -> dict[str, Any]:
    """Give a failure's task and exception so that they can be pickled, if need be with less behind them."""
    task, exception = error.task, error.exception
    return {
        "task": task if _can_be_pickled(task) else _StandIn(task),
        "exception": exception if _can_be_pickled(exception) else RuntimeError(told(exception)),
    }


class _StandIn:
    """Pickles a task whose class no other process can find: with a class of the same name in its place."""

    def __init__(self, task: Node) -> None:
        self._task = task

    def __reduce__(self) -> tuple[Any, ...]:
        cls = type(self._task)
        return _stand_in, (cls.__module__, cls.__qualname__, located(self._task))


def _stand_in(module: str, name: str, location: Location) -> Node:
    import types

    given = {"__module__": module, "__qualname__": name, "task_name": location.name}

    cls = types.new_class(name, (Node,), exec_body=lambda body: body.update(given))
    return restore(cls, location)


def _can_be_pickled(value: Any) -> bool:
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        return False
    return True
