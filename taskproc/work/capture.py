"""Where the output of a worker process goes: files of its tasks' own, made only when something is written."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ..base.lean import Lock
from ..base.private import FILE_MODE, make_directories
from ..store.files import STDERR, STDOUT
from .surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMES = {1: STDOUT, 2: STDERR}


class DescriptorCapture:
    """Redirects descriptors 1 and 2 of a worker process, and so those of C code and of its subprocesses.

    Output goes to a scratch file beside the run, which is renamed into the instance directory when it holds
    anything: a silent task costs no file, and a gigabyte of output is never copied.

    Args:
        scratch: A directory on the cache's file system.
    """

    def __init__(self, scratch: str) -> None:
        make_directories(scratch)
        flush()
        # Containers on one machine may share its name, and each has a process of its own with number 1.
        own = f"{os.uname().nodename}-{os.getpid()}-{os.urandom(8).hex()}"
        self._scratch = {fd: f"{scratch}/{own}.{name}" for fd, name in NAMES.items()}
        self._lock = Lock()
        self._delivered: set[int] = set()
        self._target: Callable[[], str] | None = None
        self._surroundings: Surroundings | None = None
        for fd in NAMES:
            self._renew(fd)

    def begin(self, target: Callable[[], str]) -> None:
        """Start a task; `target` makes its instance directory and gives it."""
        for fd in NAMES:
            if self._size(fd) > 0:
                self._renew(fd)
        with self._lock:
            self._target = target

    def note_surroundings(self) -> None:
        """Look at the process as the task finds it, once its module is imported; `end` puts back what it changes."""
        if self._surroundings is None or not self._surroundings.hold():
            self._surroundings = Surroundings()

    def any_output(self) -> bool:
        """Whether the task has written anything so far."""
        flush()
        return bool(self._delivered) or any(self._size(fd) != 0 for fd in NAMES)

    def end(self) -> None:
        """End a task: put back what it changed, and bring its output to its directory."""
        if self._surroundings is not None:
            self._surroundings.put_back()
        flush()
        with self._lock:
            for fd in NAMES:
                if fd in self._delivered or self._size(fd) != 0:
                    self._deliver(fd)
                    self._renew(fd)
            self._delivered.clear()
            self._target = None
        _mend_streams()

    def show(self) -> None:
        """Bring what a long task wrote so far to its directory, where the rest will follow."""
        with self._lock:
            for fd in NAMES:
                if self._target is not None and fd not in self._delivered and self._size(fd) > 0:
                    self._deliver(fd)

    def close(self) -> None:
        """Remove the scratch files."""
        for path in self._scratch.values():
            try:
                os.unlink(path)
            except OSError:
                pass

    def _deliver(self, fd: int) -> None:
        if fd in self._delivered or self._target is None:
            return
        target = f"{self._target()}/{NAMES[fd]}"
        try:
            os.rename(self._scratch[fd], target)
        except FileNotFoundError:
            return
        except OSError:
            import shutil

            shutil.copyfile(self._scratch[fd], target)
        self._delivered.add(fd)

    def _renew(self, fd: int) -> None:
        path = self._scratch[fd]
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, FILE_MODE)
        if new != fd:
            os.dup2(new, fd)
            os.close(new)
        else:
            os.set_inheritable(fd, True)

    def _size(self, fd: int) -> int:
        """Give the size of the output so far, -1 if the task closed the descriptor."""
        try:
            return os.fstat(fd).st_size
        except OSError:
            return -1


def flush() -> None:
    """Write out what Python, and C, still hold of the output."""
    streams: list[Any] = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]  # a task may have replaced the first
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    _flush_c()


_modules_seen = 0
_c_code = False


def _flush_c() -> None:
    """Flush C's own buffers, if any code from outside the standard library could have filled them."""
    global _modules_seen, _c_code
    if len(sys.modules) != _modules_seen and not _c_code:
        _modules_seen = len(sys.modules)
        _c_code = "ctypes" in sys.modules or any(
            str(getattr(module, "__file__", "") or "").endswith(".so") and "lib-dynload" not in str(module.__file__)
            for module in list(sys.modules.values())
        )
    if _c_code:
        import ctypes

        ctypes.CDLL(None).fflush(None)


def _mend_streams() -> None:
    """Give Python its streams back after a task that closed them."""
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115 (it stays open)
