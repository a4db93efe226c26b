"""`thread`: tasks run in threads of the driver's own process."""
from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    Job,
    Outcome,
    Portable,
    cancel_execution,
    execute,
)

_WINDOW = 64  # jobs held per thread, so that the driver can claim short ones in groups


class ThreadBackend:
    """Runs each job in one of a few threads; what it prints goes to its own files, as far as Python prints it."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=_WINDOW * context.max_workers)
        self._report = context.report
        self._closing = context.closing
        self._most = context.max_workers
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        self._begun: dict[str, bool] = {}  # of each job that has not ended
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._host = socket.gethostname()

    def submit(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            wanted = min(self._most, len(self._begun) + len(jobs))
        self._start_threads(wanted)
        with self._lock:
            self._begun.update((job.nonce, False) for job in jobs)
        for job in jobs:
            self._report.accepted(job, job.nonce)
            self._queue.put(job)

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Drop what has not started, end what runs in a process of its own; what cannot be ended keeps nothing.

        While the run goes on, only what has not started is cancelled, as far as the core knows: what has runs on.
        """
        with self._lock:
            self._cancelled.update(job.nonce for job in jobs if job.nonce in self._begun)
            begun = [job for job in jobs if self._begun.get(job.nonce)]
        for job in begun:
            if job.prefix or job.timeout or self._closing.is_set():
                cancel_execution(job.nonce)

    def close(self, detach: bool) -> None:
        for _ in range(self._threads):
            self._queue.put(None)

    def _start_threads(self, wanted: int) -> None:
        """Start threads until there are so many; with one at least, work goes on."""
        while self._threads < wanted:
            try:
                self._start_thread()
            except (RuntimeError, MemoryError):  # the system has no room for another
                if not self._threads:
                    raise
                return
            self._threads += 1

    def _start_thread(self) -> None:
        threading.Thread(target=self._work, name="taskproc-worker", daemon=True).start()

    def _work(self) -> None:
        substitutes: list[bool] = []

        def substitute() -> None:
            """Leave this thread's place to another, since its task may wait for what comes next in the queue."""
            if not substitutes:
                self._start_thread()
                substitutes.append(True)

        while not substitutes and (job := self._queue.get()) is not None:
            outcome = self._outcome(job, substitute)
            with self._lock:
                self._begun.pop(job.nonce, None)
                self._cancelled.discard(job.nonce)
            self._report.finished(job, outcome)

    def _outcome(self, job: Job, on_nested: Callable[[], None]) -> Outcome:
        with self._lock:
            if job.nonce in self._cancelled:
                return Outcome("cancelled")
            self._begun[job.nonce] = True
        self._report.started(job, self._host)
        try:
            return execute(job.payload(), "thread", on_nested)
        except BaseException as error:
            return Outcome.of_error("rejected", error)


plugin = BackendPlugin("thread", "Threads of the driver's process.", Portable, ThreadBackend)
