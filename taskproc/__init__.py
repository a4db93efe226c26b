"""Python classes become a cached graph of tasks; one engine runs it on threads, processes or your cluster.

>>> from taskproc import TaskBase, Requires, Const
"""
from __future__ import annotations

__version__ = "1.0.0"

from .errors import FailedTaskError, FailedTasksError, TaskprocError
from .task import Const, Req, Requires, RequiresDict, RequiresList, TaskBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .protocols import Task
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
    # Settings read files and the environment, and the type of tasks needs `typing`, which workers do without.
    if name == "Context":
        from .settings import Context

        return Context
    if name == "Task":
        from .protocols import Task

        return Task
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
