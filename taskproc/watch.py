"""The guard in a worker's process: ends it, with all it started, when its driver is gone or its time is up."""
from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

from . import worker
from .processes import end_own_children

_LOOK = 0.5  # seconds between looks at a running task's clock and output


class Watch:
    """Watches one worker process from a thread of its own.

    Args:
        life: A descriptor whose other end the driver holds. A hang-up means that the driver is gone.
        direct: Whether the driver surely holds it. Behind a prefix command it may be closed from the start, and then
            says nothing.
        show_output: Brings a long task's output to its directory.
    """

    def __init__(self, life: int, direct: bool, show_output: Callable[[], None]) -> None:
        self._life = life
        self._direct = direct
        if direct and hung_up(life):
            self._end_process()
        self._show_output = show_output
        self._deadline: float | None = None
        self._on_timeout: Callable[[], None] = lambda: None
        self._busy = False
        worker.watched = True
        threading.Thread(target=self._run, name="taskproc-watch", daemon=True).start()

    def begin(self, timeout: float | None, on_timeout: Callable[[], None]) -> None:
        """Start the clock of a task; `on_timeout` notes the failure before the process ends."""
        self._on_timeout = on_timeout
        self._deadline = time.monotonic() + timeout if timeout else None
        self._busy = True

    def end(self) -> None:
        """Stop the clock."""
        self._deadline = None
        self._busy = False

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._life, 0)  # a hang-up is always told
        if not self._direct and poller.poll(0):
            poller.unregister(self._life)
        while True:
            if poller.poll(self._pause() * 1000):
                with worker.keeping:
                    self._end_process()
            if self._busy:
                self._show_output()
            if self._time_is_up():
                with worker.keeping:
                    if self._time_is_up():
                        self._on_timeout()
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
        end_own_children()
        os.kill(os.getpid(), signal.SIGKILL)


def hung_up(fd: int) -> bool:
    """Whether the other end of a pipe is gone."""
    poller = select.poll()
    poller.register(fd, 0)
    return bool(poller.poll(0))
