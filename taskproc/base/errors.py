"""Every error that taskproc raises on purpose; the class says who can act on it."""
from __future__ import annotations


class TaskprocError(Exception):
    """The root of all errors that taskproc raises on purpose."""


class TaskDefinitionError(TaskprocError, TypeError):
    """A task class or its constructor is not right: its author can act."""


class CycleError(TaskDefinitionError):
    """A task needs itself, directly or through others."""


class SourceChangedError(TaskprocError):
    """The text of a task's code is not the one that is loaded: nothing runs before it is loaded again."""


class InputError(TaskprocError):
    """What a task reads from outside is not there, or cannot be read; the message says what, and where it should be."""


class UpstreamChangedError(TaskprocError):
    """A result that a task needs is not the one any more that its run was planned with."""


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

# A traceback names what a user imports.
for _error in tuple(vars().values()):
    if isinstance(_error, type):
        _error.__module__ = "taskproc"
