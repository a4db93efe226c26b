"""Everything that may be said about one run."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from ..plan.graph import Plan
    from ..plugin import Event  # which a run that finds everything cached does without

    Watcher = Callable[[Sequence[Event]], None]
    Progress = Callable[[Mapping[str, int]], AbstractContextManager[Watcher]]

OnError = Literal["stop", "continue"]


@dataclass(frozen=True)
class RunRequest:
    """Everything that may be said about one run; `run_graph` and the command fill it in.

    Attributes:
        executor: A pool to run tasks in.
        max_workers: How many tasks run at once on this machine.
        rate_limits: The most tasks at once, per channel or task name.
        detect_source_change: Whether changed code makes results stale; None: as the settings say.
        backend: The backend or profile for every task.
        specific: Backends or profiles for single task names or channels.
        backend_options: Options for `backend`.
        on_error: `stop` or `continue`.
        force_interactive: Whether to run all tasks in this thread.
        force: Whether to run the task asked for even if it is cached.
        progress: Makes what shows people how far the run is, from the number of planned tasks per name.
        detach: Whether an interrupt leaves jobs on a cluster alone.
        dump_generations: Whether to list what is left at each step.
        plugins: Further plugins: modules or files.
        watchers: Called with what happened, a few times a second.
        planned: Called with each plan of the run, which may have grown, at its end.
    """

    executor: Executor | None = None
    max_workers: int | None = None
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    detect_source_change: bool | None = None
    backend: str | None = None
    specific: Mapping[str, str] = field(default_factory=dict)
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    on_error: OnError = "stop"
    force_interactive: bool = False
    force: bool = False
    progress: Progress | None = None
    detach: bool = False
    dump_generations: bool = False
    plugins: Sequence[str] = ()
    watchers: Sequence[Watcher] = ()
    planned: Callable[[Plan], object] | None = None
