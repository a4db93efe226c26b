"""Python classes become a cached graph of tasks; one engine runs it on threads, processes or your cluster.

>>> from taskproc import TaskBase, Requires, Const
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"

from .errors import FailedTaskError, FailedTasksError, TaskprocError
from .task import Const, Req, Requires, RequiresDict, RequiresList, Task, TaskBase

if TYPE_CHECKING:
    from .settings import Context

__all__ = [
    "Const",
    "Context",
    "FailedTaskError",
    "FailedTasksError",
    "Req",
    "Requires",
    "RequiresDict",
    "RequiresList",
    "Task",
    "TaskBase",
    "TaskprocError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Settings read files and the environment, which a worker need not do.
    if name == "Context":
        from .settings import Context

        return Context
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
