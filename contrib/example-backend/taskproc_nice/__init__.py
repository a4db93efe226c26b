"""`nice`: tasks run on this machine, behind everything else that it has to do."""
from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskproc.plugin import BackendContext, BackendPlugin, Capabilities, Job, Outcome, end_process_trees, option


def level(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= 19:
        raise ValueError(f"{value!r} is not a whole number from 0 to 19")
    return number


@dataclass(frozen=True)
class NiceOptions:
    """How tasks are to step back."""

    level: int = option(10, help="How far tasks step back: 0, not at all, to 19.", parse=level)


class NiceBackend:
    """Starts a worker for each job, behind `nice`, and a thread that waits for its end."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=context.max_workers)
        self._report, self._staging = context.report, context.staging
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._cancelled: set[str] = set()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                staged = self._staging.stage([[job]])
            except Exception as error:  # this job cannot be pickled; the others can
                self._report.finished(job, Outcome("rejected", f"{type(error).__name__}: {error}"))
                continue
            command = ["nice", "-n", str(job.options.level), *self._staging.command(staged)]
            # The pipe is the worker's sign that this process lives.
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
            self._running[job.nonce] = worker
            self._report.accepted(job, str(worker.pid))
            self._report.started(job, pid=worker.pid)
            threading.Thread(target=self._follow, args=(job, staged, worker), daemon=True).start()

    def _follow(self, job: Job, staged: Any, worker: subprocess.Popen[bytes]) -> None:
        with worker:
            code = worker.wait()
        del self._running[job.nonce]
        # The mark that the worker left says more than its exit status.
        outcome = dict(self._staging.ended(staged)).get(job.nonce) or Outcome.of_process(code)
        self._report.finished(job, Outcome("cancelled") if job.nonce in self._cancelled else outcome)

    def cancel(self, jobs: Sequence[Job]) -> None:
        self._cancelled.update(job.nonce for job in jobs)
        running = [self._running.get(job.nonce) for job in jobs]
        end_process_trees([worker.pid for worker in running if worker is not None])

    def close(self, detach: bool) -> None:
        end_process_trees([worker.pid for worker in list(self._running.values())])


plugin = BackendPlugin(
    name="nice", summary="This machine, after everything else.", options=NiceOptions, factory=NiceBackend, api_version=1
)
