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
        self._most = context.max_workers
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._host = socket.gethostname()

    def submit(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._unfinished += len(jobs)
        for job in jobs:
            self._report.accepted(job, job.nonce)
            self._queue.put(job)
        while self._threads < min(self._most, self._unfinished):
            self._threads += 1
            self._start_thread()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Drop what has not started, and end what runs in a process of its own; a thread cannot be ended."""
        for job in jobs:
            self._cancelled.add(job.nonce)
            cancel_execution(job.nonce)

    def close(self, detach: bool) -> None:
        for _ in range(self._threads):
            self._queue.put(None)

    def _start_thread(self) -> None:
        threading.Thread(target=self._work, name="taskproc-worker", daemon=True).start()

    def _work(self) -> None:
        substitutes: list[bool] = []

        def substitute() -> None:
            """Leave this thread's place to another, since its task may wait for what comes next in the queue."""
            if not substitutes:
                substitutes.append(True)
                self._start_thread()

        while not substitutes and (job := self._queue.get()) is not None:
            self._report.finished(job, self._outcome(job, substitute))
            with self._lock:
                self._unfinished -= 1

    def _outcome(self, job: Job, on_nested: Callable[[], None]) -> Outcome:
        if job.nonce in self._cancelled:
            return Outcome("cancelled")
        self._report.started(job, self._host)
        try:
            return execute(job.payload(), "thread", on_nested)
        except Exception as error:
            return Outcome("rejected", f"{type(error).__name__}: {error}")


plugin = BackendPlugin("thread", "Threads of the driver's process.", Portable, ThreadBackend)
