"""Ending processes with everything that they started."""
from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable


def end_process_trees(pids: Iterable[int], grace: float = 0.0) -> None:
    """End these processes and all their descendants, wherever those have moved.

    Parents go before their children: a task that waits for a process of its own would take that one's end for the
    end of its work, and return.

    Args:
        pids: Processes started by this one, and not yet waited for.
        grace: Seconds between SIGTERM and SIGKILL; without, SIGKILL comes at once.

    Example:
        >>> import subprocess
        >>> sleeper = subprocess.Popen(["sleep", "600"])
        >>> end_process_trees([sleeper.pid])
        >>> sleeper.wait()
        -9
    """
    import psutil

    victims: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            victims[pid] = psutil.Process(pid)
        except psutil.Error:
            continue
        with contextlib.suppress(psutil.Error, OSError):  # where /proc cannot be read, the process alone must do
            victims.update((child.pid, child) for child in victims[pid].children(recursive=True))
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(pid) == pid:
                victims.update((member.pid, member) for member in _group(pid))
    if grace:
        _send(victims.values(), signal.SIGTERM)
        psutil.wait_procs(list(victims.values()), timeout=grace)
    _send(victims.values(), signal.SIGKILL)


def end_own_children() -> None:
    """End everything that this process started, but not the process itself."""
    import psutil

    for _ in range(3):  # a child may start another while it is looked at
        children = psutil.Process().children(recursive=True)
        if os.getpgrp() == os.getpid():
            children += [member for member in _group(os.getpid()) if member.pid != os.getpid()]
        if not children:
            return
        _send(children, signal.SIGKILL)
        psutil.wait_procs(children, timeout=1)


def _group(leader: int) -> Iterable[psutil.Process]:  # type: ignore[name-defined]  # noqa: F821
    """List the members of a process group: also those whose parent is gone already."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getpgid(process.pid) == leader:
                yield process


def _send(processes: Iterable[psutil.Process], number: int) -> None:  # type: ignore[name-defined]  # noqa: F821
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)
