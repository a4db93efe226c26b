"""A worker process that its driver feeds by a pipe, one payload after another."""
from __future__ import annotations

import atexit
import os
from functools import partial

from ..base.ended import Ended
from ..base.frames import FrameBuffer, frame, unpack_group
from ..base.lean import Empty, Lock, SimpleQueue, pickle, start_thread
from . import worker
from .capture import DescriptorCapture
from .execute import run_assignment
from .handover import read_payload
from .watch import Watch, detach_stdin, hold_run

_READ = 1 << 20


def main(run_directory: str) -> None:
    """Run payloads from the standard input until it ends, answering each on what was the standard output."""
    import signal

    signal.signal(signal.SIGINT, _leave_it_to_the_driver)
    incoming = os.dup(0)
    answers = os.dup(1)
    life = os.dup(0)
    detach_stdin()
    hold_run(run_directory)
    worker.descriptors = DescriptorCapture(f"{run_directory}/output")
    _Server(incoming, answers, Watch(life, direct=True)).run()
    # What tasks registered is still called; threads that they left behind must not hold the driver up.
    atexit._run_exitfuncs()
    os._exit(0)


def _leave_it_to_the_driver(*_: object) -> None:
    """Do nothing at Ctrl-C. To ignore the signal would not do: what tasks start would ignore it for life."""


class _Server:
    """Feeds one worker process from its driver.

    A thread of its own reads, so that the driver can take back what waits behind a long task.
    """

    def __init__(self, incoming: int, answers: int, watch: Watch) -> None:
        self._incoming = incoming
        self._answers = answers
        self._watch = watch
        self._lock = Lock()
        self._nesting = False
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()

    def run(self) -> None:
        start_thread(self._read, ())
        while (payload := self._waiting.get()) is not None:
            self._run_one(payload)

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
        self._hand_back()

    def _read(self) -> None:
        """Take in what the driver sends; an empty group asks for what waits."""
        buffer = FrameBuffer()
        try:
            while data := os.read(self._incoming, _READ):
                for content in buffer.feed(data):
                    for payload in unpack_group(content):
                        self._waiting.put(payload)
                    if self._nesting or not content:
                        self._hand_back()
        finally:
            self._waiting.put(None)

    def _hand_back(self) -> None:
        while True:
            try:
                payload = self._waiting.get_nowait()
            except Empty:
                return
            if payload is None:  # the end, which stays last
                self._waiting.put(None)
                return
            self._answer(read_payload(payload)[0].nonce, "returned")

    def _answer(self, nonce: str, content: Ended | str) -> None:
        data = frame(pickle.dumps((nonce, content), 5))
        with self._lock:
            while data:
                data = data[os.write(self._answers, data) :]
