"""`executor`: tasks run in a `concurrent.futures` pool that the caller passed to `run_graph`."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    Job,
    OptionError,
    Outcome,
    Portable,
    cancel_execution,
    execute,
    option,
)


@dataclass(frozen=True)
class ExecutorOptions(Portable):
    """The pool to use; what a task asks for besides is the pool's own business."""

    pool: Any = option(  # noqa: RUF009 (that is how options are declared)
        None, help="A concurrent.futures.Executor; it is used as it is, and stays open.", parse=lambda value: value
    )


class ExecutorBackend:
    """Submits each job to the caller's pool."""

    def __init__(self, context: BackendContext) -> None:
        pool = context.options.pool
        if not isinstance(pool, Executor):
            msg = "the backend 'executor' is for run_graph(executor=...); its option pool must be an Executor"
            raise OptionError(msg)
        size = getattr(pool, "_max_workers", None) or context.max_workers
        # No job waits in the pool: one that is running may run a graph of its own, and wait for that very job.
        self.capabilities = Capabilities(window=size)
        self._pool = pool
        self._capture: Literal["fd", "thread"] = "fd" if isinstance(pool, ProcessPoolExecutor) else "thread"
        self._report = context.report
        self._futures: dict[str, Future[Outcome]] = {}
        self._cancelled: set[str] = set()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                future = self._pool.submit(execute, job.payload(), self._capture)
            except Exception as error:
                self._report.finished(job, Outcome.of_error("rejected", error))
                continue
            self._futures[job.nonce] = future
            self._report.accepted(job, job.nonce)
            self._report.started(job)
            future.add_done_callback(partial(self._done, job))

    def cancel(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            future = self._futures.get(job.nonce)
            if future is None:
                continue
            self._cancelled.add(job.nonce)
            if not future.cancel() and self._capture == "thread" and (job.prefix or job.timeout):
                cancel_execution(job.nonce)

    def close(self, detach: bool) -> None:
        """Leave the pool to the caller."""

    def _done(self, job: Job, future: Future[Outcome]) -> None:
        self._futures.pop(job.nonce, None)
        if future.cancelled():
            ours = job.nonce in self._cancelled
            outcome = Outcome("cancelled") if ours else Outcome("rejected", "the pool's owner has cancelled the task")
        elif (error := future.exception()) is not None:
            outcome = Outcome("ended", Outcome.of_error("lost", error).reason, exit_code=1)
        else:
            outcome = future.result()
        self._cancelled.discard(job.nonce)
        self._report.finished(job, outcome)


plugin = BackendPlugin("executor", "A pool passed as run_graph(executor=...).", ExecutorOptions, ExecutorBackend)
