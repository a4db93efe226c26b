"""Python classes become a cached graph of tasks; one engine runs it on threads, processes or your cluster.

>>> from taskproc import TaskBase, Requires, Const
"""
from __future__ import annotations

from .base.errors import (
    BackendError,
    BackendUnavailable,
    CacheError,
    CycleError,
    InputError,
    OptionError,
    PrefixError,
    ResultNotFoundError,
    ResultUnreadableError,
    SettingsError,
    SourceChangedError,
    SubmitUnknown,
    TaskDefinitionError,
    TaskLostError,
    TaskprocError,
    TaskTimeoutError,
    UntrustedCacheError,
    UpstreamChangedError,
    WorkerDiedError,
)
from .base.version import __version__
from .task import TaskBase
from .tasks.failed import FailedTaskError, FailedTasksError
from .tasks.requires import Req, Requires, RequiresDict, RequiresList
from .tasks.substitutes import Const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .look.pages import Page, graph_page, run_report
    from .tasks.inputs import EnvVar, InputDir, InputFile, Package
    from .tasks.protocols import Task
    from .tasks.settings import Context

__all__ = [
    "BackendError",
    "BackendUnavailable",
    "CacheError",
    "Const",
    "Context",
    "CycleError",
    "EnvVar",
    "FailedTaskError",
    "FailedTasksError",
    "InputDir",
    "InputError",
    "InputFile",
    "OptionError",
    "Package",
    "Page",
    "PrefixError",
    "Req",
    "Requires",
    "RequiresDict",
    "RequiresList",
    "ResultNotFoundError",
    "ResultUnreadableError",
    "SettingsError",
    "SourceChangedError",
    "SubmitUnknown",
    "Task",
    "TaskBase",
    "TaskDefinitionError",
    "TaskLostError",
    "TaskTimeoutError",
    "TaskprocError",
    "UntrustedCacheError",
    "UpstreamChangedError",
    "WorkerDiedError",
    "__version__",
    "graph_page",
    "run_report",
]


def __getattr__(name: str) -> Any:
    # Workers do without what these need: files of settings, `typing`, pages.
    if name == "Context":
        from .tasks.settings import Context

        return Context
    if name == "Task":
        from .tasks.protocols import Task

        return Task
    if name in ("EnvVar", "InputDir", "InputFile", "Package"):
        from .tasks import inputs

        return getattr(inputs, name)
    if name in ("Page", "graph_page", "run_report"):
        from .look import pages

        return getattr(pages, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
