"""`process`, for this machine: worker processes, started when there is work and kept warm."""
from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    Job,
    Outcome,
    Portable,
    seconds,
)
from taskproc_backends.workers import LATE, Crew, Worker

_GROUP_SECONDS = 0.01  # a message to a worker holds about as much work as this
_LARGEST_GROUP = 64
_WINDOW = 128  # jobs held per worker, so that short ones can be handed out in groups
_READ = 1 << 20
_TRY_AGAIN = 0.5  # seconds until a worker is started again after the system had no room for one
_TRIES = 10  # how often, with no other worker to wait for


class ProcessBackend:
    """Feeds workers over pipes, from one thread that waits for all of them."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=_WINDOW * context.max_workers)
        self._report = context.report
        self._most = context.max_workers
        self._queue: deque[Job] = deque()
        self._cancelled: set[str] = set()
        self._host = socket.gethostname()
        self._lock = threading.Lock()
        self._closing = False
        self._broken: BaseException | None = None
        self._refusals = 0
        self._start_again = 0.0
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._crew = Crew(context.serve, context.max_workers, self._selector)
        self._thread = threading.Thread(target=self._run, name="taskproc-process", daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._report.accepted(job, job.nonce)
        with self._lock:
            broken = self._broken
            if broken is None:
                self._queue.extend(jobs)
        if broken is not None:
            for job in jobs:
                self._report.finished(job, Outcome.of_error("rejected", broken, "the backend 'process' has broken"))
        self._wake()

    def cancel(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._cancelled.update(job.nonce for job in jobs)
        self._wake()

    def close(self, detach: bool) -> None:
        self._closing = True
        self._wake()
        self._thread.join()
        self._crew.close()
        self._selector.close()
        os.close(self._bell)
        os.close(self._ring)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the bell has rung often enough
            os.write(self._ring, b"!")

    # --- the thread that waits for workers ---

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:
            self._give_up(error)

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._pause()):
            worker = key.data
            if worker is None:
                os.read(self._bell, _READ)
            elif worker.gone:
                continue
            elif mask & selectors.EVENT_WRITE:
                self._crew.write(worker)
            else:
                self._read(worker)
        if self._cancelled:
            self._carry_out_cancels()
        self._end_overtime()
        self._hand_out()
        self._take_back()

    def _give_up(self, error: BaseException) -> None:
        """End in reports: nobody may wait for what this thread can no longer do."""
        with self._lock:
            self._broken = error
            lost, self._queue = list(self._queue), deque()
        for worker in self._crew:
            lost += worker.jobs
            with contextlib.suppress(Exception):
                worker.end()
        for job in lost:
            self._report.finished(job, Outcome.of_error("lost", error, "the backend 'process' broke"))

    def _pause(self) -> float | None:
        now = time.monotonic()
        due = [worker.deadline for worker in self._crew if worker.deadline is not None]
        if self._queue and self._start_again > now:
            due.append(self._start_again)
        if not self._queue and self._crew.has_room:
            due += [worker.began + LATE for worker in self._crew if worker.holds_others_up]
        return max(0.0, min(due) - now) if due else None

    def _hand_out(self) -> None:
        """Give what is queued to workers that are idle, or nearly so."""
        while self._queue:
            job = self._queue[0]
            worker = self._free_worker(job)
            if worker is None:
                return
            self._send(worker, self._group(job))

    def _free_worker(self, job: Job) -> Worker | None:
        """Find an idle worker, start one, or else find one whose short jobs are nearly done."""
        now = time.monotonic()
        try:
            worker = self._crew.take(job.options, may_start=now >= self._start_again)
        except (OSError, MemoryError) as error:
            self._start_again = now + _TRY_AGAIN
            self._go_on_with_fewer(error)
            return None
        if worker is not None:
            self._refusals = 0
            return worker
        if not _short(job) or job.options != Portable():
            return None
        worker = self._crew.with_fewest_jobs(_group_size(job))
        return worker if worker is not None and _short(worker.jobs[0]) else None

    def _go_on_with_fewer(self, error: BaseException) -> None:
        """Leave what waits to the workers that there are. Without any, it fails once that was tried for long enough."""
        if self._crew.busy:
            return
        for worker in self._crew:
            if not worker.jobs:
                self._crew.retire(worker)  # its place may do for the one that is wanted
        self._refusals += 1
        if self._refusals < _TRIES:
            return
        with self._lock:
            waiting, self._queue = list(self._queue), deque()
        for job in waiting:
            self._report.finished(job, Outcome.of_error("rejected", error, "no worker process can be started"))

    def _group(self, first: Job) -> list[Job]:
        """Take from the queue what goes to a worker in one message: several jobs if they are short."""
        with self._lock:
            fair = -(-len(self._queue) // self._most)
            size = min(_group_size(first), fair) if first.options == Portable() else 1
            group = [self._queue.popleft()]
            while len(group) < size and self._queue and _goes_with(first, self._queue[0]):
                group.append(self._queue.popleft())
        return group

    def _send(self, worker: Worker, group: list[Job]) -> None:
        payloads, sent = [], []
        for job in group:
            try:
                payloads.append(job.payload())
                sent.append(job)
            except BaseException as error:  # the user's own classes are pickled here
                self._report.finished(job, Outcome.of_error("rejected", error))
        if sent:
            is_idle = not worker.jobs
            worker.jobs += sent
            if is_idle:
                self._head_started(worker)
            self._crew.send(worker, payloads)
        elif not worker.jobs:
            self._crew.rest(worker)

    def _take_back(self) -> None:
        """Ask workers whose job takes longer than was thought for what waits behind it, while others have no work."""
        if self._queue or not self._crew.has_room:
            return
        late = time.monotonic() - LATE
        for worker in self._crew:
            if worker.holds_others_up and worker.began <= late:
                self._crew.ask_back(worker)

    def _head_started(self, worker: Worker) -> None:
        job = worker.jobs[0]
        self._report.started(job, self._host, worker.process.pid)
        limit = job.options.time
        worker.asked = False
        worker.began = time.monotonic()
        worker.deadline = worker.began + seconds(limit) if limit else None

    def _read(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        try:
            data = os.read(worker.process.stdout.fileno(), _READ)
            for content in worker.answers.feed(data):
                nonce, answer = pickle.loads(content)
                self._answered(worker, nonce, answer)
        except Exception as error:  # a task has written to the pipe, or an answer is too large for this process
            worker.end(Outcome.of_error("lost", error, "its worker's answer cannot be read").reason)
            data = b""
        if not data:
            self._died(worker)

    def _answered(self, worker: Worker, nonce: str, answer: Any) -> None:
        if answer == "nested":
            worker.nested = True
            self._crew.rest(worker)  # it waits for others now
        elif answer == "returned":
            job = next(job for job in worker.jobs if job.nonce == nonce)
            was_head = job is worker.jobs[0]  # one that was only starting had not begun even this
            worker.jobs.remove(job)
            with self._lock:
                self._queue.appendleft(job)
            if was_head:
                self._next_head(worker)
        else:
            job = worker.jobs.popleft()
            worker.nested = False
            self._report.finished(job, answer)
            self._next_head(worker)

    def _next_head(self, worker: Worker) -> None:
        worker.deadline = None
        if worker.jobs:
            self._head_started(worker)
        else:
            self._crew.rest(worker)

    def _died(self, worker: Worker) -> None:
        """Fail the job that a dead worker had begun, and queue those behind it again."""
        self._crew.forget(worker)
        code = worker.process.wait()
        if not worker.jobs:
            return
        culprit = worker.jobs.popleft()
        with self._lock:
            self._queue.extendleft(reversed(worker.jobs))
        if worker.ending not in ("", culprit.nonce):
            outcome = Outcome("lost", "its worker was ended for the job before, which had ended just then")
        elif culprit.nonce in self._cancelled:
            self._cancelled.discard(culprit.nonce)
            outcome = Outcome("cancelled")
        else:
            outcome = Outcome.of_process(code, worker.reason)
        self._report.finished(culprit, outcome)

    def _carry_out_cancels(self) -> None:
        with self._lock:
            dropped = [job for job in self._queue if job.nonce in self._cancelled]
            self._queue = deque(job for job in self._queue if job.nonce not in self._cancelled)
            for job in dropped:
                self._cancelled.discard(job.nonce)
            self._cancelled &= {job.nonce for worker in self._crew for job in worker.jobs}
            wanted = frozenset(self._cancelled)
        for job in dropped:
            self._report.finished(job, Outcome("cancelled"))
        for worker in self._crew:
            if worker.jobs and worker.jobs[0].nonce in wanted:
                worker.end()
            elif any(job.nonce in wanted for job in worker.jobs):
                self._crew.ask_back(worker)

    def _end_overtime(self) -> None:
        now = time.monotonic()
        for worker in self._crew:
            if worker.deadline is not None and now >= worker.deadline:
                worker.deadline = None
                worker.end(f"it ran longer than its time of {worker.jobs[0].options.time} and was ended")


def _short(job: Job) -> bool:
    return job.expected is not None and job.expected < _GROUP_SECONDS


def _goes_with(first: Job, job: Job) -> bool:
    return _short(job) and job.options == first.options


def _group_size(job: Job) -> int:
    if not _short(job):
        return 1
    return min(_LARGEST_GROUP, int(_GROUP_SECONDS / max(job.expected or 0.0, 1e-5)))


plugin = BackendPlugin("process", "Worker processes on this machine, kept warm.", Portable, ProcessBackend)
