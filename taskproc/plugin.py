"""The contract between the core and a backend, version 1. Backends import from here, and from nowhere else.

A backend takes jobs (attempts at tasks), has each run by a worker somewhere, and reports how it ended. It knows
nothing of graphs, caches or results. `docs/write-a-backend.md` builds one step by step, and `taskproc.testing`
holds the suite that tells whether it is right.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pluggy

from .base.errors import BackendError, BackendUnavailable, OptionError, SubmitUnknown, TaskprocError
from .base.exit_status import signal_name
from .base.frames import FrameBuffer, frame, pack_group
from .base.options import NoOptions, Portable, count, duration, mebibytes, memory, option, seconds
from .base.outcome import Outcome
from .base.processes import end_process_trees
from .work.execute import cancel_execution, execute

__all__ = [
    "API_VERSION",
    "Backend",
    "BackendContext",
    "BackendError",
    "BackendPlugin",
    "BackendUnavailable",
    "Capabilities",
    "DurableBackend",
    "Event",
    "FrameBuffer",
    "Job",
    "JobRef",
    "NoOptions",
    "OptionError",
    "Outcome",
    "Portable",
    "Reports",
    "RunInfo",
    "RunReport",
    "Staging",
    "SubmitUnknown",
    "TaskprocError",
    "cancel_execution",
    "count",
    "duration",
    "end_process_trees",
    "execute",
    "frame",
    "hookimpl",
    "hookspec",
    "mebibytes",
    "memory",
    "option",
    "pack_group",
    "seconds",
    "signal_name",
]

API_VERSION = 1
hookspec = pluggy.HookspecMarker("taskproc")
hookimpl = pluggy.HookimplMarker("taskproc")


@dataclass(frozen=True)
class Job:
    """One attempt at one task. A retry is a new Job; the worker lets a nonce start once, ever.

    Args:
        nonce: The attempt's own name, 32 hexadecimal digits.
        task: The task's name, such as `pkg.mod.Train`.
        label: For people, and safe in a scheduler's job name: `Train-7`.
        directory: The instance directory. It may not exist yet.
        options: This backend's options dataclass for this attempt, frozen and hashable.
        prefix: The prefix command, to route by and to show; the worker itself applies it.
        timeout: Seconds that the task may run; the worker enforces it, a scheduler may too. None: as long as it takes.
        expected: Seconds that an earlier attempt at this task, or others of its class, took; None if there is none.
        payload: Makes the pickled worker; called when the bytes are needed, at most once per submission.
    """

    nonce: str
    task: str
    label: str
    directory: Path
    options: Any
    prefix: str = ""
    timeout: float | None = None
    expected: float | None = None
    payload: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)


@dataclass(frozen=True)
class JobRef:
    """Where an attempt of an earlier driver went, read from the ledger.

    Args:
        staged: The set that it was staged in; the set's name is the scheduler's job name.
        element: The index of its group in that set, from 0.
        id: As given to `Reports.accepted`; empty if the scheduler's answer was never noted.
    """

    staged: Path
    element: int
    id: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What the core must know of a backend.

    Args:
        durable: Jobs outlive the driver, and the backend is a `DurableBackend`.
        window: The most unfinished jobs to hand over at any time; None for all that are ready.
        gather: Seconds to collect ready jobs for one `submit()`.
        latency: Seconds until a result written elsewhere must be visible here.
    """

    durable: bool = False
    window: int | None = None
    gather: float = 0.0
    latency: float = 0.0


class Reports(Protocol):
    """How a backend tells what became of a job: from any thread, in any order.

    Repeated and outdated reports are dropped.
    """

    def accepted(self, job: Job, id: str) -> None:
        """Tell that the job was taken; it is in the ledger when this returns.

        Args:
            job: As it was submitted, or adopted.
            id: What the scheduler calls it.
        """

    def waiting(self, job: Job, reason: str) -> None:
        """Tell why the job is still queued.

        Args:
            job: As it was submitted, or adopted.
            reason: The scheduler's words.
        """

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        """Tell that the job's worker runs.

        Args:
            job: As it was submitted, or adopted.
            host: Where; empty if that is not known.
            pid: The worker's process there.
        """

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell how the job ended, once for every job that was accepted or rejected.

        Args:
            job: As it was submitted, or adopted.
            outcome: Never says that it succeeded; the core looks for the result itself.
        """


class Staging(Protocol):
    """Files groups of jobs for worker processes elsewhere, noted in the ledger before any submit."""

    def stage(self, groups: Sequence[Sequence[Job]]) -> Path:
        """File the jobs; element i of the set runs `groups[i]`, one after another.

        Args:
            groups: No group is empty, and no job is in two of them.

        Returns:
            The set's directory. Its name is unique in this cache and safe as a scheduler's job name. It goes when the
            run is over, but for what was written to its directory `log`, if you make one.
        """
        ...

    def command(self, staged: Path, *, index: int = 0, variable: str = "", first: int = 0) -> list[str]:
        """Build the argv that runs one element.

        Args:
            staged: The set's directory.
            index: The element, when no variable names it.
            variable: The environment variable that holds the element's index where it runs. If it is unset, empty
                or below `first`, `index` counts.
            first: The variable's value for element 0 (LSF and Grid Engine count from 1).

        Returns:
            Program and arguments, for `subprocess` or, quoted, for a job script.
        """
        ...

    def ended(self, staged: Path) -> Iterable[tuple[str, Outcome]]:
        """Read the set's new end marks by one directory listing: (nonce, outcome), each at most once.

        Args:
            staged: The set's directory.

        Workers leave a mark per job. A job script may leave the file `ended/element-<index>-<exit status>`, which
        then speaks for every job of that element that has no mark of its own.
        """
        ...


@dataclass(frozen=True)
class BackendContext:
    """What a backend's factory is given.

    Args:
        options: The run's own options for this backend.
        max_workers: How many tasks may run at once on this machine.
        directory: This backend's directory in this run, for scripts and scheduler logs.
        report: Where to report to.
        staging: Files jobs for workers elsewhere.
        serve: The argv of a worker that is fed payloads on its stdin; see `taskproc.base.frames` for the protocol.
        closing: Set once the run is to end: a call that waits for something returns then.
    """

    options: Any
    max_workers: int
    directory: Path
    report: Reports
    staging: Staging
    serve: Sequence[str]
    closing: threading.Event = field(default_factory=threading.Event)


class Backend(Protocol):
    """Runs jobs. One thread per backend makes every call, one at a time; calls may block.

    `submit()` reports each job accepted, or finished as rejected; the exception, if any, tells of the rest.
    Every accepted job is reported finished, once, also after `cancel()`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the core must know; read once, after the factory returns."""
        ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs, all of one options value.

        Raises:
            BackendUnavailable: None of the unreported jobs was taken.
            SubmitUnknown: Some of them may have been.
        """

    def cancel(self, jobs: Sequence[Job]) -> None:
        """End these jobs: whole arrays, whole process trees.

        Args:
            jobs: Some may have ended already, or be cancelled for the second time; that is no error.
        """

    def close(self, detach: bool) -> None:
        """Stop following jobs and let go of everything, within seconds.

        Args:
            detach: Whether durable jobs live on. Without it, nothing that can be ended runs on.
        """


class DurableBackend(Backend, Protocol):
    """A backend whose jobs outlive the driver."""

    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        """Follow jobs that an earlier driver, or an unanswered submit, may have left.

        Args:
            jobs: Each with the place where its attempt went.

        Returns:
            Those that were never taken. The others are followed and reported as if they had been submitted here.
        """
        ...

    def preview(self, jobs: Sequence[Job]) -> str:
        """Write out exactly what `submit()` would do, for `--dry-run`, and do none of it.

        Args:
            jobs: All of one options value, as for `submit()`.

        Returns:
            Command lines, scripts, whatever a person wants to see.
        """
        ...


@dataclass(frozen=True)
class BackendPlugin:
    """What an entry point in the group `taskproc` yields. A leaf has a factory; a router has a route.

    Args:
        name: Equals the entry point's name.
        summary: One line for `taskproc backends`.
        options: A frozen dataclass whose fields are made with `option()`.
        factory: Makes the backend, at most once a run, in the driver's thread, when the first job for it is ready.
        route: From a job to another backend's name.
        api_version: The version of this contract that the plugin was written against. Leave it out to say "this".

    Example:
        >>> BackendPlugin("gentle", "Another name for thread.", NoOptions, route=lambda job: "thread").route(None)
        'thread'
    """

    name: str
    summary: str
    options: type[Any]
    factory: Callable[[BackendContext], Backend] | None = None
    route: Callable[[Job], str] | None = None
    api_version: int = API_VERSION


@dataclass(frozen=True)
class Event:
    """Something that happened to a task in a run.

    Args:
        time: Seconds since the epoch.
        kind: What happened. `grown` is not of one task: so many tasks of that name were added to the run.
        task: The task's name.
        task_id: Its id, or -1 while it has none.
        nonce: The attempt.
        backend: The backend's name.
        detail: JSON-able: host, pid, reason, seconds; `retried` for a failure that is not the last word; `spared` for
            a task that was to run and need not, since what it needs came out as before; `planned` and `cached` for
            how many tasks were added that must run, and that have results.
    """

    time: float
    kind: Literal["cached", "submitted", "waiting", "started", "done", "failed", "lost", "cancelled", "grown"]
    task: str
    task_id: int
    nonce: str = ""
    backend: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """A run that starts.

    Args:
        run: The run's name; its directory is `{cache}/taskproc/.runs/{run}`.
        root: The label of the task asked for.
        cached: Tasks per name that are fresh already.
        planned: Tasks per name that will run.
    """

    run: str
    root: str
    cached: Mapping[str, int]
    planned: Mapping[str, int]


@dataclass(frozen=True)
class RunReport:
    """A run that ended.

    Args:
        run: The run's name, as in `RunInfo`.
        status: How: `interrupted` is a run that an error or a signal ended, `failed` one in which tasks failed.
        seconds: How long it took.
        done: Tasks per name that ran and have results.
        failed: Tasks per name that failed for good.
    """

    run: str
    status: Literal["done", "failed", "interrupted"]
    seconds: float
    done: Mapping[str, int]
    failed: Mapping[str, int]


@hookspec
def taskproc_backends() -> Iterable[BackendPlugin]:  # type: ignore[empty-body]  # a hook's specification
    """Give the backends that this plugin brings, for a plugin that brings several.

    Returns:
        One `BackendPlugin` each.
    """


@hookspec
def run_started(run: RunInfo) -> None:
    """Learn that a run starts (listeners only).

    Args:
        run: What is planned.
    """


@hookspec
def events(run: RunInfo, events: Sequence[Event]) -> None:
    """Learn what happened since the last call (listeners only).

    Args:
        run: The run, as in `run_started`.
        events: In the order in which they happened.
    """


@hookspec
def run_finished(run: RunInfo, report: RunReport) -> None:
    """Learn how the run ended (listeners only).

    Args:
        run: The run, as in `run_started`.
        report: How it ended.
    """
