"""Worker processes of this machine that are kept warm: one of them, what it was handed, and how it is ended."""
from __future__ import annotations

import contextlib
import os
import resource
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from taskproc.plugin import FrameBuffer, Job, Portable, end_process_trees, frame, pack_group
from taskproc_backends.slots import Share, Slots

_UNTIL_ENDED = 2.0
_OTHERS = 16  # descriptors that the rest of the driver may need meanwhile
_PIPES = 2  # of each worker
_WRITE = 1 << 20
LATE = 0.1  # seconds after which a job that was to be short holds up what waits behind it


@dataclass(eq=False)
class Worker:
    """One worker process, and what was handed to it.

    Attributes:
        process: The process.
        gpus: The GPUs that it sees.
        answers: What came from it, up to the last whole answer.
        jobs: What it was handed: the first one runs, the others wait.
        outgoing: What it is still to be sent.
        nested: Whether its job runs a graph of its own, and takes no CPU.
        asked: Whether it was asked for what waits behind its job.
        share: Its part of the machine, while it has jobs.
        began: When its job began.
        deadline: When its job must have ended.
        ending: The nonce of the job that it was ended for.
        reason: Why it was ended.
        gone: Whether its pipes are closed.
    """

    process: subprocess.Popen[bytes]
    gpus: tuple[str, ...]
    answers: FrameBuffer = field(default_factory=FrameBuffer)
    jobs: deque[Job] = field(default_factory=deque)
    outgoing: bytearray = field(default_factory=bytearray)
    nested: bool = False
    asked: bool = False
    share: Share | None = None
    began: float = 0.0
    deadline: float | None = None
    ending: str = ""
    reason: str = ""
    gone: bool = False

    @property
    def busy(self) -> bool:
        """Whether it takes one of the places for workers that run something."""
        return bool(self.jobs) and not self.nested

    @property
    def holds_others_up(self) -> bool:
        """Whether jobs wait behind its own that it was not asked for yet."""
        return len(self.jobs) > 1 and not self.asked and not self.nested

    def end(self, reason: str = "") -> None:
        """End it with all that it started, because of the job that it runs."""
        self.ending = self.jobs[0].nonce if self.jobs else ""
        self.reason = reason
        end_process_trees([self.process.pid])


class Crew:
    """The workers of one run, the machine that they share, and the pipes to them.

    Args:
        command: Starts a worker.
        most: How many may run something at once.
        selector: Waits for what they answer, and for room to write to them.
    """

    def __init__(self, command: Sequence[str], most: int, selector: selectors.BaseSelector) -> None:
        self._command = list(command)
        self._selector = selector
        self._slots = Slots(most)
        self._most = min(most, _room_for_workers())
        self._members: list[Worker] = []

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._members))

    @property
    def busy(self) -> int:
        """How many run something."""
        return sum(worker.busy for worker in self._members)

    @property
    def has_room(self) -> bool:
        """Whether more could run than does."""
        return self.busy < self._most

    def take(self, request: Portable, may_start: bool) -> Worker | None:
        """Find an idle worker, with a share of the machine, or start one.

        Args:
            request: What its job asks for.
            may_start: Whether one may be started.

        Raises:
            OSError: The system has no room for another.
        """
        share = self._slots.take(request)
        if share is None:
            return None
        idle = [worker for worker in self._members if not worker.jobs]
        worker = next((worker for worker in idle if worker.gpus == share.gpus), None)
        try:
            if worker is None and may_start:
                if idle and not self._may_grow():
                    self.retire(idle[0])
                if self._may_grow():
                    worker = self._start(share.gpus)
        finally:
            if worker is None:
                self._slots.give_back(share)
        if worker is not None:
            worker.share = share
        return worker

    def with_fewest_jobs(self, most: int) -> Worker | None:
        """Find the worker that has the fewest jobs, if these are no more than that, and in time."""
        late = time.monotonic() - LATE
        able = [
            worker
            for worker in self._members
            if worker.busy and len(worker.jobs) <= most and worker.began > late and not (worker.gpus or worker.ending)
        ]
        return min(able, key=lambda worker: len(worker.jobs), default=None)

    def send(self, worker: Worker, payloads: Sequence[bytes]) -> None:
        """Send payloads; none ask for what waits."""
        worker.outgoing += frame(pack_group(payloads))
        self.write(worker)

    def ask_back(self, worker: Worker) -> None:
        """Ask for what a worker has not begun, once."""
        if not worker.asked:
            worker.asked = True
            self.send(worker, [])

    def write(self, worker: Worker) -> None:
        """Write what the pipe takes now."""
        assert worker.process.stdin is not None
        fd = worker.process.stdin.fileno()
        try:
            while worker.outgoing:
                sent = os.write(fd, memoryview(worker.outgoing)[:_WRITE])
                del worker.outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            worker.outgoing.clear()  # it is gone; reading from it will tell
        watched = fd in self._selector.get_map()
        if worker.outgoing and not watched:
            self._selector.register(fd, selectors.EVENT_WRITE, worker)
        elif watched and not worker.outgoing:
            self._selector.unregister(fd)

    def rest(self, worker: Worker) -> None:
        """Give a worker's share of the machine back."""
        if worker.share is not None:
            self._slots.give_back(worker.share)
            worker.share = None

    def retire(self, worker: Worker) -> None:
        """Have an idle worker end."""
        self.forget(worker)
        _reap([worker.process])

    def forget(self, worker: Worker) -> None:
        """Close the pipes of a worker; an idle one ends by that."""
        worker.gone = True
        worker.outgoing.clear()
        for stream in (worker.process.stdout, worker.process.stdin):
            assert stream is not None
            if stream.fileno() in self._selector.get_map():
                self._selector.unregister(stream.fileno())
        self._members.remove(worker)
        _close(worker.process)
        self.rest(worker)

    def close(self) -> None:
        """End all."""
        for worker in self._members:
            _close(worker.process)
        _reap([worker.process for worker in self._members])

    def _may_grow(self) -> bool:
        return sum(not worker.nested for worker in self._members) < self._most

    def _start(self, gpus: tuple[str, ...]) -> Worker:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else None
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
        )
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        worker = Worker(process, gpus)
        self._members.append(worker)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, worker)
        return worker


def _room_for_workers() -> int:
    """Tell for how many workers this process may still open pipes: for one at least."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return 1 << 20
    try:
        opened = len(os.listdir("/proc/self/fd"))
    except OSError:  # no Linux
        opened = 0
    return max(1, (most - opened - _OTHERS) // _PIPES)


def _close(process: subprocess.Popen[bytes]) -> None:
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
