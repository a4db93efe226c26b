"""The guard in a worker's process: ends it, with all it started, when its driver is gone or its time is up."""
from __future__ import annotations

import os
import time

from ..base.errors import TaskTimeoutError
from ..base.lean import Lock, start_thread
from ..base.private import FILE_MODE
from ..base.telling import told
from . import worker
from .worker import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .handover import Assignment

_LOOK = 0.5  # seconds between looks at a running task's clock and output
_LEAVE = 1.0  # seconds for an idle worker to end by itself
_FLUSH = 1.0  # seconds for a task that is to be ended to let go of what it printed


class Watch:
    """Watches one worker process from a thread of its own.

    Args:
        life: A descriptor whose other end the driver holds; a hang-up means that the driver is gone. None: there is
            no such descriptor.
        direct: Whether the driver surely holds it. Behind a prefix command it may be closed from the start, and then
            says nothing.
    """

    def __init__(self, life: int | None, direct: bool) -> None:
        self._line = None if life is None else _Line(life)
        if self._line is not None and self._line.hung_up(0):  # asked here, and not once the task runs
            if direct:
                self._end_process()
            self._line = None
        self._task: Assignment | None = None
        self._deadline: float | None = None
        worker.watched, worker.keeping = True, Lock()
        start_thread(self._run, ())

    def begin(self, assignment: Assignment) -> None:
        """Start the clock of a task."""
        self._task = assignment
        self._deadline = time.monotonic() + assignment.timeout if assignment.timeout else None

    def end(self) -> None:
        """Stop the clock."""
        self._deadline = None
        self._task = None

    def _run(self) -> None:
        """Look, again and again: what goes wrong in one look must not end the guard."""
        while True:
            try:
                self._wait()
                self._show()
                self._end_overtime()
            except Exception:
                time.sleep(_LOOK)

    def _wait(self) -> None:
        """Wait a moment for the driver's end, and end with it."""
        if self._line is None:
            time.sleep(self._pause())
        elif self._line.hung_up(self._pause()):
            if self._task is None:  # then it ends by itself, once what its tasks registered has been called
                time.sleep(_LEAVE)
            with worker.keeping:
                self._end_process()

    def _show(self) -> None:
        """Bring the task's output so far to its directory, where people look for it."""
        if self._task is not None and worker.descriptors is not None:
            try:
                worker.descriptors.show()
            except Exception:  # a full disk, a task that was taken back: less than the clock, which goes on
                pass

    def _end_overtime(self) -> None:
        if self._time_is_up():
            with worker.keeping:
                task = self._task
                if task is not None and self._time_is_up():
                    try:
                        _note_timeout(task)
                        _flush_output()
                        self._show()
                    finally:
                        self._end_process()

    def _pause(self) -> float:
        deadline = self._deadline
        if deadline is None:
            return _LOOK
        return min(_LOOK, max(0.0, deadline - time.monotonic()))

    def _time_is_up(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _end_process(self) -> None:
        """End all: the children first, while the task, which would notice, cannot keep anything any more."""
        from signal import SIGKILL

        try:
            from ..base.processes import end_own_children

            end_own_children()
        finally:
            os.kill(os.getpid(), SIGKILL)
            # The kernel spares the first process of a container, even from itself; its end ends all others there.
            os._exit(128 + SIGKILL)


def _note_timeout(task: Assignment) -> None:
    error = TaskTimeoutError(f"the task ran longer than its timeout of {task.timeout:g} seconds and was ended")
    attempt = worker.at_hand
    if attempt is None:  # it runs in a process of its own, behind this one
        Attempt(task, b"").fail_beside(error)
    else:
        attempt.fail(error, f"{told(error)}\n")


def _flush_output() -> None:
    """Have the task's buffered output written, by a thread that nobody waits for if the task holds it up."""
    from .capture import flush

    flushed = Lock()
    flushed.acquire()

    def work() -> None:
        flush()
        flushed.release()

    start_thread(work, ())
    flushed.acquire(timeout=_FLUSH)


class _Line:
    """A descriptor whose other end somebody else holds."""

    def __init__(self, fd: int) -> None:
        import select

        self._poller = select.poll()
        self._poller.register(fd, 0)  # a hang-up is always told

    def hung_up(self, seconds: float) -> bool:
        """Wait for the other end to go."""
        return bool(self._poller.poll(seconds * 1000))


def detach_stdin() -> None:
    """Give tasks an empty standard input instead of the driver's pipe."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def hold_run(run_directory: str) -> None:
    """Show other drivers that a worker of this run lives, for as long as it does."""
    import fcntl

    fd = os.open(f"{run_directory}/workers.lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
    fcntl.flock(fd, fcntl.LOCK_SH)
