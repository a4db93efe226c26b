"""Every error that taskproc raises on purpose; the class says who can act on it."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from .task import TaskBase


class TaskprocError(Exception):
    """The root of all errors that taskproc raises on purpose."""


class TaskDefinitionError(TaskprocError, TypeError):
    """A task class or its constructor is not right: its author can act."""


class CycleError(TaskDefinitionError):
    """A task needs itself, directly or through others."""


class SettingsError(TaskprocError):
    """A settings file, an environment variable or an argument of a run is not right; the message names it."""


class CacheError(TaskprocError):
    """The cache directory cannot be used as it is."""


class UntrustedCacheError(CacheError):
    """Others may write to the cache, and so run code as whoever reads it."""


class ResultNotFoundError(TaskprocError, FileNotFoundError):
    """A result was asked for that is not in the cache."""


class ResultUnreadableError(TaskprocError):
    """A result is in the cache but cannot be read back here."""


class TaskTimeoutError(TaskprocError, TimeoutError):
    """A task ran longer than its `timeout` and was ended."""


class WorkerDiedError(TaskprocError):
    """The process that ran a task ended without a result."""


class PrefixError(TaskprocError):
    """A prefix command failed, was not found, or did not run the worker."""


class TaskLostError(TaskprocError):
    """A task's worker was lost, again and again, through no fault of the task."""


class BackendError(TaskprocError):
    """A backend cannot do what it was asked to."""


class OptionError(BackendError):
    """A backend's options are wrong, or cannot go together."""


class BackendUnavailable(BackendError):
    """None of the unreported jobs was taken: the core backs off and submits them again."""


class SubmitUnknown(BackendError):
    """Some of the unreported jobs may have been taken: the core adopts them, then submits the rest."""


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

    def __init__(self, message: str, *, task: TaskBase[Any], exception: BaseException, directory: Path) -> None:
        super().__init__(message)
        self.task = task
        self.exception = exception
        self.directory = directory

    def __reduce__(self) -> tuple[Any, ...]:
        from .failures import portable

        return _restore, (type(self), self.args, {**self.__dict__, **portable(self)})


class FailedTasksError(FailedTaskError):
    """Several tasks failed. `task`, `exception` and `directory` are those of the first.

    Attributes:
        failures: One `FailedTaskError` for each.
    """

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
