"""A worker process that its driver feeds by a pipe, one payload after another."""
from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Iterable
from functools import partial

from ..base.ended import Ended
from ..base.frames import frame, read_frame, unpack_group
from ..base.lean import Lock, pickle, start_thread
from . import worker
from .capture import DescriptorCapture
from .execute import run_assignment
from .handover import read_payload
from .watch import Watch, detach_stdin, hold_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queue import SimpleQueue
    from typing import BinaryIO



def main(run_directory: str) -> None:
    """Run payloads from the standard input until it ends, answering each on what was the standard output."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    answers = os.dup(1)
    life = os.dup(0)
    detach_stdin()
    hold_run(run_directory)
    worker.descriptors = DescriptorCapture(f"{run_directory}/output")
    _Server(incoming, answers, Watch(life, direct=True)).run()
    # What tasks registered is still called; threads that they left behind must not hold the driver up.
    atexit._run_exitfuncs()
    os._exit(0)


class _Server:
    """Feeds one worker process from its driver."""

    def __init__(self, incoming: BinaryIO, answers: int, watch: Watch) -> None:
        self._incoming = incoming
        self._answers = answers
        self._watch = watch
        self._group: deque[bytes] = deque()
        self._lock = Lock()
        self._nesting = False
        self._arrivals: SimpleQueue[bytes | None] | None = None

    def run(self) -> None:
        while (content := self._next()) is not None:
            self._group.extend(unpack_group(content))
            while self._group:
                self._run_one(self._group.popleft())

    def _next(self) -> bytes | None:
        return read_frame(self._incoming) if self._arrivals is None else self._arrivals.get()

    def _run_one(self, payload: bytes) -> None:
        assignment, body = read_payload(payload)
        self._watch.begin(assignment)
        ended = run_assignment(assignment, body, "fd", partial(self._nested, assignment.nonce))
        self._watch.end()
        self._nesting = False
        self._answer(assignment.nonce, ended)

    def _nested(self, nonce: str) -> None:
        """Hand back all that waits behind a task that runs a graph of its own, and all that comes meanwhile."""
        self._answer(nonce, "nested")
        self._nesting = True
        waiting, self._group = self._group, deque()
        self._hand_back(waiting)
        if self._arrivals is None:
            from queue import SimpleQueue

            self._arrivals = SimpleQueue()
            start_thread(self._read_on, (self._arrivals,))

    def _read_on(self, arrivals: SimpleQueue[bytes | None]) -> None:
        while (content := read_frame(self._incoming)) is not None:
            if self._nesting:
                self._hand_back(unpack_group(content))
            else:
                arrivals.put(content)
        arrivals.put(None)

    def _hand_back(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._answer(read_payload(payload)[0].nonce, "returned")

    def _answer(self, nonce: str, content: Ended | str) -> None:
        data = frame(pickle.dumps((nonce, content), 5))
        with self._lock:
            while data:
                data = data[os.write(self._answers, data) :]
