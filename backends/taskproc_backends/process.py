"""`process`, for this machine: worker processes, started when there is work and kept warm."""
from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    FrameBuffer,
    Job,
    Outcome,
    Portable,
    end_process_trees,
    frame,
    pack_group,
    seconds,
)
from taskproc_backends.slots import Share, Slots

_GROUP_SECONDS = 0.01  # a message to a worker holds about as much work as this
_LARGEST_GROUP = 64
_WINDOW = 128  # jobs held per worker, so that short ones can be handed out in groups
_READ = 1 << 20
_UNTIL_ENDED = 2.0


@dataclass(eq=False)
class _Worker:
    """One worker process, and what was handed to it."""

    process: subprocess.Popen[bytes]
    gpus: tuple[str, ...]
    answers: FrameBuffer = field(default_factory=FrameBuffer)
    jobs: deque[Job] = field(default_factory=deque)
    outgoing: bytearray = field(default_factory=bytearray)
    nested: bool = False
    share: Share | None = None
    deadline: float | None = None
    overtime: str = ""


class ProcessBackend:
    """Feeds workers over pipes, from one thread that waits for all of them."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=_WINDOW * context.max_workers)
        self._report = context.report
        self._serve = list(context.serve)
        self._most = context.max_workers
        self._slots = Slots(context.max_workers)
        self._queue: deque[Job] = deque()
        self._workers: list[_Worker] = []
        self._cancelled: set[str] = set()
        self._host = socket.gethostname()
        self._lock = threading.Lock()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = os.pipe()
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="taskproc-process", daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._report.accepted(job, job.nonce)
        with self._lock:
            self._queue.extend(jobs)
        os.write(self._ring, b"s")

    def cancel(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._cancelled.update(job.nonce for job in jobs)
        os.write(self._ring, b"c")

    def close(self, detach: bool) -> None:
        self._closing = True
        os.write(self._ring, b"q")
        self._thread.join()
        for worker in self._workers:
            _close(worker.process)
        _reap([worker.process for worker in self._workers])
        self._selector.close()
        os.close(self._bell)
        os.close(self._ring)

    # --- the thread that waits for workers ---

    def _run(self) -> None:
        while not self._closing:
            for key, mask in self._selector.select(self._pause()):
                worker = key.data
                if worker is None:
                    os.read(self._bell, _READ)
                elif mask & selectors.EVENT_WRITE:
                    self._write(worker)
                else:
                    self._read(worker)
            if self._cancelled:
                self._carry_out_cancels()
            self._end_overtime()
            self._hand_out()

    def _pause(self) -> float | None:
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _hand_out(self) -> None:
        """Give what is queued to workers that are idle, or nearly so."""
        while self._queue:
            job = self._queue[0]
            worker = self._free_worker(job)
            if worker is None:
                return
            self._send(worker, self._group(worker, job))

    def _free_worker(self, job: Job) -> _Worker | None:
        """Find an idle worker, start one, or else find one whose short jobs are nearly done."""
        request: Portable = job.options
        share = self._slots.take(request)
        if share is None:
            return self._nearly_done(job)
        idle = [worker for worker in self._workers if not worker.jobs]
        worker = next((worker for worker in idle if worker.gpus == share.gpus), None)
        busy = sum(1 for worker in self._workers if not worker.nested)
        if worker is None:
            if busy >= self._most and idle:
                self._retire(idle[0])
                busy -= 1
            if busy >= self._most:
                self._slots.give_back(share)
                return self._nearly_done(job)
            worker = self._start(share)
        worker.share = share
        return worker

    def _nearly_done(self, job: Job) -> _Worker | None:
        if not _short(job) or job.options != Portable():
            return None
        few = _group_size(job)
        for worker in self._workers:
            plain = not worker.nested and not worker.gpus
            if plain and 0 < len(worker.jobs) <= few and _short(worker.jobs[0]):
                return worker
        return None

    def _group(self, worker: _Worker, first: Job) -> list[Job]:
        """Take from the queue what goes to a worker in one message: several jobs if they are short."""
        with self._lock:
            fair = -(-len(self._queue) // self._most)
            size = min(_group_size(first), fair) if first.options == Portable() else 1
            group = [self._queue.popleft()]
            while len(group) < size and self._queue and _goes_with(first, self._queue[0]):
                group.append(self._queue.popleft())
        return group

    def _send(self, worker: _Worker, group: list[Job]) -> None:
        payloads = []
        for job in group:
            try:
                payload = job.payload()
            except Exception as error:
                self._report.finished(job, Outcome("rejected", f"{type(error).__name__}: {error}"))
                continue
            payloads.append(payload)
            worker.jobs.append(job)
            if len(worker.jobs) == 1:
                self._head_started(worker)
        if payloads:
            worker.outgoing += frame(pack_group(payloads))
            self._write(worker)
        elif not worker.jobs:
            self._rest(worker)

    def _head_started(self, worker: _Worker) -> None:
        job = worker.jobs[0]
        self._report.started(job, self._host, worker.process.pid)
        limit = job.options.time
        worker.deadline = time.monotonic() + seconds(limit) if limit else None

    def _write(self, worker: _Worker) -> None:
        assert worker.process.stdin is not None
        fd = worker.process.stdin.fileno()
        try:
            while worker.outgoing:
                sent = os.write(fd, memoryview(worker.outgoing)[:_READ])
                del worker.outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            worker.outgoing.clear()  # it is gone; reading from it will tell
        self._watch_for_writing(worker, fd)

    def _watch_for_writing(self, worker: _Worker, fd: int) -> None:
        watched = fd in self._selector.get_map()
        if worker.outgoing and not watched:
            self._selector.register(fd, selectors.EVENT_WRITE, worker)
        elif watched and not worker.outgoing:
            self._selector.unregister(fd)

    def _read(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        data = os.read(worker.process.stdout.fileno(), _READ)
        if not data:
            self._died(worker)
            return
        for content in worker.answers.feed(data):
            nonce, answer = pickle.loads(content)
            self._answered(worker, nonce, answer)

    def _answered(self, worker: _Worker, nonce: str, answer: Any) -> None:
        if answer == "nested":
            worker.nested = True
            self._give_back(worker)  # it waits for others now
        elif answer == "returned":
            job = next(job for job in worker.jobs if job.nonce == nonce)
            worker.jobs.remove(job)
            with self._lock:
                self._queue.appendleft(job)
        else:
            job = worker.jobs.popleft()
            worker.nested = False
            self._report.finished(job, answer)
            if worker.jobs:
                self._head_started(worker)
            else:
                self._rest(worker)

    def _died(self, worker: _Worker) -> None:
        """Fail the job that a dead worker had begun, and queue those behind it again."""
        self._forget(worker)
        code = worker.process.wait()
        self._give_back(worker)
        if not worker.jobs:
            return
        culprit = worker.jobs.popleft()
        with self._lock:
            self._queue.extendleft(reversed(worker.jobs))
        if culprit.nonce in self._cancelled:
            self._cancelled.discard(culprit.nonce)
            outcome = Outcome("cancelled")
        else:
            outcome = Outcome.of_process(code, worker.overtime)
        self._report.finished(culprit, outcome)

    def _rest(self, worker: _Worker) -> None:
        worker.deadline = None
        self._give_back(worker)

    def _give_back(self, worker: _Worker) -> None:
        if worker.share is not None:
            self._slots.give_back(worker.share)
            worker.share = None

    def _carry_out_cancels(self) -> None:
        with self._lock:
            dropped = [job for job in self._queue if job.nonce in self._cancelled]
            self._queue = deque(job for job in self._queue if job.nonce not in self._cancelled)
            for job in dropped:
                self._cancelled.discard(job.nonce)
            running = {job.nonce for worker in self._workers for job in worker.jobs}
            self._cancelled &= running
            victims = [w for w in self._workers if w.jobs and w.jobs[0].nonce in self._cancelled]
        for job in dropped:
            self._report.finished(job, Outcome("cancelled"))
        end_process_trees([worker.process.pid for worker in victims])

    def _end_overtime(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.deadline is not None and now >= worker.deadline:
                worker.overtime = f"it ran longer than its time of {worker.jobs[0].options.time} and was ended"
                worker.deadline = None
                end_process_trees([worker.process.pid])

    def _start(self, share: Share) -> _Worker:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(share.gpus)} if share.gpus else None
        process = subprocess.Popen(
            self._serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
        )
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        worker = _Worker(process, share.gpus)
        self._workers.append(worker)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, worker)
        return worker

    def _retire(self, worker: _Worker) -> None:
        self._forget(worker)
        _reap([worker.process])

    def _forget(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout.fileno())
        worker.outgoing.clear()
        assert worker.process.stdin is not None
        if worker.process.stdin.fileno() in self._selector.get_map():
            self._selector.unregister(worker.process.stdin.fileno())
        self._workers.remove(worker)
        _close(worker.process)


def _short(job: Job) -> bool:
    return job.expected is not None and job.expected < _GROUP_SECONDS


def _goes_with(first: Job, job: Job) -> bool:
    return _short(job) and job.options == first.options


def _group_size(job: Job) -> int:
    if not _short(job):
        return 1
    return min(_LARGEST_GROUP, int(_GROUP_SECONDS / max(job.expected or 0.0, 1e-5)))


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes; an idle worker ends by that."""
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):
            stream.close()


def _reap(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _UNTIL_ENDED
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            end_process_trees([process.pid])
            process.wait()


plugin = BackendPlugin("process", "Worker processes on this machine, kept warm.", Portable, ProcessBackend)
