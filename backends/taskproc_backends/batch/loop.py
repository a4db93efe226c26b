"""A thread that does one thing again and again: often while there is news, then ever more rarely."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
# A step may take this share of the time at most: slow disks and slow schedulers are asked less often.
_SHARE = 0.1


class Loop:
    """Calls `step` with growing pauses.

    Args:
        name: The thread's name.
        step: Does the work; returns whether there was news. What it raises is logged, and it is called again.
        lost: Called with what ended the thread, if something does before `close`.
        idle: Tells whether there is nothing to do at all; then the thread sleeps until it is woken.
        fast: Seconds between two calls while there is news.
        slow: Seconds between two calls after a long time without.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        idle: Callable[[], bool],
        lost: Callable[[BaseException], None],
        *,
        fast: float,
        slow: float,
    ) -> None:
        self._step = step
        self._lost = lost
        self._idle = idle
        self._fast, self._slow = fast, max(fast, slow)
        self._pause = fast
        self._nudged = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """Expect news: begin again with short pauses."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def close(self) -> None:
        """End the thread, after the step that it is in."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            self._go_on()
        except BaseException as error:
            self._lost(error)
            raise

    def _go_on(self) -> None:
        earliest = 0.0
        while self._wait(earliest):
            began = time.monotonic()
            news = self._one_step()
            took = time.monotonic() - began
            self._pause = self._fast if news else min(self._slow, self._pause * 1.4)
            earliest = time.monotonic() + max(self._fast, took / _SHARE)

    def _wait(self, earliest: float) -> bool:
        """Wait for the next step's time, not before `earliest`; tell whether there is one."""
        with self._changed:
            due = time.monotonic() + self._pause
            while not self._closed:
                now = time.monotonic()
                if self._nudged:
                    self._nudged, self._pause = False, self._fast
                    due = now + self._fast
                due = max(due, earliest)
                if self._idle():
                    self._changed.wait()
                elif now < due:
                    self._changed.wait(due - now)
                else:
                    return True
            return False

    def _one_step(self) -> bool:
        try:
            return self._step()
        except OSError as error:
            _log.warning("%s: %s; trying again", self._thread.name, error)
        except BaseException:  # also a `sys.exit()` in a plugin, which is meant for no thread of ours
            _log.exception("%s failed; trying again", self._thread.name)
        return False
