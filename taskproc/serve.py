"""The main programs of worker processes.

`serve`: fed by a pipe, one payload after another. `one`: a single payload from a file, behind a prefix command.
`staged`: the payloads of one element of a set, on a cluster's node.
"""
from __future__ import annotations

import atexit
import os
import pickle
import signal
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from . import worker
from .ended import Ended
from .frames import frame, read_frame, unpack_group
from .handover import Assignment, read_payload
from .watch import Watch
from .worker import Attempt, captured_descriptors, run_assignment

if TYPE_CHECKING:
    from queue import SimpleQueue

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")


def main(arguments: list[str]) -> None:
    """Run the program that the first argument names."""
    program, *rest = arguments
    {"serve": serve, "one": run_one, "staged": run_staged}[program](*rest)


def serve(run_directory: str) -> None:
    """Run payloads from the standard input until it ends, answering each on what was the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    answers = os.dup(1)
    life = os.dup(0)
    _detach_stdin()
    _hold_run(run_directory)
    _capture(run_directory)
    _Server(incoming, answers, Watch(life, True, _show_output)).run()
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
        self._lock = threading.Lock()
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
        self._watch.begin(assignment.timeout, lambda: _time_out(assignment))
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
            threading.Thread(target=self._read_on, args=(self._arrivals,), name="taskproc-reader", daemon=True).start()

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


def run_one(path: str) -> None:
    """Run the payload in a file, behind a prefix command; what prefix commands print stays theirs."""
    with open(path, "rb") as file:
        assignment, body = read_payload(file.read())
    ended = run_alone(assignment, body, direct=False, on_nested=partial(_show_nesting, os.path.dirname(path)))
    sys.exit(ended.exit_code or 0)


def _show_nesting(place: str) -> None:
    from .apart import NESTED

    with open(f"{place}/{NESTED}", "wb"):
        pass


def run_alone(
    assignment: Assignment, body: bytes, direct: bool = True, on_nested: Callable[[], None] | None = None
) -> Ended:
    """Run a payload in a process that nobody feeds, with its output captured.

    Args:
        assignment: What is to be done.
        body: The task.
        direct: Whether a pipe on the standard input surely comes from the driver.
        on_nested: Called before the task runs a graph of its own.
    """
    global _watch
    if _watch is None:
        life = os.dup(0)
        piped = stat.S_ISFIFO(os.fstat(life).st_mode)  # as a driver on this machine does, and a cluster does not
        if piped:
            _hold_run(os.path.dirname(assignment.context))
        _detach_stdin()
        _watch = Watch(life, piped and direct, _show_output)
    with captured_descriptors(os.path.dirname(assignment.context)):
        _watch.begin(assignment.timeout, lambda: _time_out(assignment))
        ended = run_assignment(assignment, body, "fd", on_nested)
        _watch.end()
    return ended


_watch: Watch | None = None


def run_staged(*arguments: str) -> None:
    """Run one element of a staged set: its payloads, one after another."""
    from .element import run_element

    run_element(*arguments)


def _time_out(assignment: Assignment) -> None:
    from .errors import TaskTimeoutError

    error = TaskTimeoutError(f"the task ran longer than its timeout of {assignment.timeout:g} seconds and was ended")
    Attempt(assignment, b"").fail_beside(error)


def _show_output() -> None:
    if worker.descriptors is not None:
        worker.descriptors.show()


def _capture(run_directory: str) -> None:
    from .capture import DescriptorCapture

    worker.descriptors = DescriptorCapture(os.path.join(run_directory, "output"))


def _detach_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _hold_run(run_directory: str) -> None:
    """Show other drivers that a worker of this run lives, for as long as it does."""
    import fcntl

    fd = os.open(os.path.join(run_directory, "workers.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(fd, fcntl.LOCK_SH)


def serve_command(run_directory: str) -> list[str]:
    """Build the argv of a worker that is fed on its standard input."""
    return [sys.executable, BOOTSTRAP, "serve", run_directory]
