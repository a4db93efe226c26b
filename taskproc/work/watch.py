"""The guard in a worker's process: ends it, with all it started, when its driver is gone or its time is up."""
from __future__ import annotations

import os
import time

from ..base.errors import TaskTimeoutError
from ..base.lean import Lock, start_thread
from . import worker
from .worker import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .handover import Assignment

_LOOK = 0.5  # seconds between looks at a running task's clock and output


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
        while True:
            if self._line is None:
                time.sleep(self._pause())
            elif self._line.hung_up(self._pause()):
                with worker.keeping:
                    self._end_process()
            if self._task is not None and worker.descriptors is not None:
                worker.descriptors.show()
            if self._time_is_up():
                with worker.keeping:
                    task = self._task
                    if task is not None and self._time_is_up():
                        _note_timeout(task)
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

        from ..base.processes import end_own_children

        end_own_children()
        os.kill(os.getpid(), SIGKILL)


def _note_timeout(task: Assignment) -> None:
    msg = f"the task ran longer than its timeout of {task.timeout:g} seconds and was ended"
    Attempt(task, b"").fail_beside(TaskTimeoutError(msg))


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

    fd = os.open(f"{run_directory}/workers.lock", os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(fd, fcntl.LOCK_SH)
