"""`prefix`: a process of its own for each task, behind the task's prefix command."""
from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Sequence
from queue import SimpleQueue

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    Job,
    Outcome,
    Portable,
    end_process_trees,
)


class PrefixBackend:
    """Starts a worker for each job; the worker itself puts the prefix command before the task."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=context.max_workers)
        self._report = context.report
        self._staging = context.staging
        self._most = context.max_workers
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._cancelled: set[str] = set()
        self._closing = False
        self._host = socket.gethostname()

    def submit(self, jobs: Sequence[Job]) -> None:
        self._start_threads(len(jobs))
        for job in jobs:
            self._report.accepted(job, job.nonce)
            self._queue.put(job)

    def cancel(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._cancelled.update(job.nonce for job in jobs)
            pids = [self._running[job.nonce] for job in jobs if job.nonce in self._running]
        end_process_trees(pids)

    def close(self, detach: bool) -> None:
        for _ in self._threads:
            self._queue.put(None)
        with self._lock:
            self._closing = True
            pids = list(self._running.values())
        end_process_trees(pids)

    def _start_threads(self, jobs: int) -> None:
        """Start a thread for each job, as long as there are too few of them; with one at least, work goes on."""
        while jobs and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name="taskproc-prefix", daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError):  # the system has no room for another
                if not self._threads:
                    raise
                return
            self._threads.append(thread)
            jobs -= 1

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                outcome = self._run(job)
            except BaseException as error:
                outcome = Outcome.of_error("rejected", error)
            with self._lock:
                self._running.pop(job.nonce, None)
                self._cancelled.discard(job.nonce)
            self._report.finished(job, outcome)

    def _run(self, job: Job) -> Outcome:
        staged = self._staging.stage([[job]])
        command = self._staging.command(staged)
        with self._lock:
            if job.nonce in self._cancelled or self._closing:
                return Outcome("cancelled")
            # The pipe is the worker's sign that this process lives.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
            self._running[job.nonce] = process.pid
        self._report.started(job, self._host, process.pid)
        with process:
            code = process.wait()
        with self._lock:
            if job.nonce in self._cancelled:
                return Outcome("cancelled")
        return dict(self._staging.ended(staged)).get(job.nonce) or Outcome.of_process(code)


plugin = BackendPlugin("prefix", "A process for each task, behind its prefix command.", Portable, PrefixBackend)
