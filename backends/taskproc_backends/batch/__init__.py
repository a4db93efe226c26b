"""What every batch scheduler shares. A scheduler is a class of pure functions that follows `Scheduler`:

>>> def plugin() -> BackendPlugin:  # doctest: +SKIP
...     factory = lambda context: BatchBackend(MyScheduler(), context)
...     return BackendPlugin("mine", "My cluster.", MyOptions, factory)

`MyOptions` extends `BatchOptions`. `BatchBackend` brings the rest: arrays and their limits, groups of short
tasks, the job script with its end mark, following, diagnosis, cancellation, adoption, previews.
"""

from __future__ import annotations

from .backend import BatchBackend
from .commands import Runner
from .options import BatchOptions, flags
from .scheduler import (
    Answer,
    Cause,
    Command,
    JobState,
    Lookup,
    NoRoom,
    Phase,
    Refused,
    Scheduler,
    SetRef,
    Submission,
    Target,
)

__all__ = [
    "Answer",
    "BatchBackend",
    "BatchOptions",
    "Cause",
    "Command",
    "JobState",
    "Lookup",
    "NoRoom",
    "Phase",
    "Refused",
    "Runner",
    "Scheduler",
    "SetRef",
    "Submission",
    "Target",
    "flags",
]
