"""What a task took of the machine: seconds of its processors, and memory at its peak.

Memory is Linux's own account, which can be set back (proc(5), `clear_refs`). `getrusage` would not do: a process that
was started by a large one has that one's peak in its account, too.
"""
from __future__ import annotations

import os
import sys
import time

# To ask takes as long as some tasks; in less time than this, none takes much. Then the figure of the last one stands.
_SHORT = 1e-3

_last = 0
_spent = False


def begin() -> None:
    """Start a task's account, in a process that runs one task at a time."""
    global _spent
    if _spent:
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")
        except OSError:  # no Linux, or one without it: the process's peak so far must do
            pass
        _spent = False


def cpu_seconds(shared: bool) -> float:
    """Give the seconds of processor time that were taken so far; a task's are the difference of two.

    Args:
        shared: Whether other tasks run in this process, so that only this thread's time is the task's.
    """
    if shared:
        return time.thread_time()
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def peak(seconds: float) -> int:
    """Give the peak in KiB of a task that took so many seconds."""
    global _last, _spent
    if seconds >= _SHORT or not _last:
        _last = _read()
        _spent = True
    return _last


def _read() -> int:
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            return int(file.read().partition(b"VmHWM:")[2].split(maxsplit=1)[0])
    except (OSError, ValueError, IndexError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used // 1024 if sys.platform == "darwin" else used
