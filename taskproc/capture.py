"""Where a task's output goes: files of its own, made only when something is written."""
from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO, cast

from .store.files import STDERR, STDOUT

_NAMES = {1: STDOUT, 2: STDERR}


class DescriptorCapture:
    """Redirects descriptors 1 and 2 of a worker process, and so those of C code and of its subprocesses.

    Output goes to a scratch file beside the run, which is renamed into the instance directory when it holds
    anything: a silent task costs no file, and a gigabyte of output is never copied.

    Args:
        scratch: A directory on the cache's file system.
    """

    def __init__(self, scratch: str) -> None:
        os.makedirs(scratch, exist_ok=True)
        _flush()
        self._scratch = {fd: f"{scratch}/{os.uname().nodename}-{os.getpid()}.{name}" for fd, name in _NAMES.items()}
        self._lock = threading.Lock()
        self._delivered: set[int] = set()
        self._target: Callable[[], str] | None = None
        for fd in _NAMES:
            self._renew(fd)

    def begin(self, target: Callable[[], str]) -> None:
        """Start a task; `target` makes its instance directory and gives it."""
        for fd in _NAMES:
            if self._size(fd) > 0:
                self._renew(fd)
        with self._lock:
            self._target = target

    def any_output(self) -> bool:
        """Whether the task has written anything so far."""
        _flush()
        return bool(self._delivered) or any(self._size(fd) != 0 for fd in _NAMES)

    def end(self) -> None:
        """End a task: bring its output to its directory."""
        _flush()
        with self._lock:
            for fd in _NAMES:
                if fd in self._delivered or self._size(fd) != 0:
                    self._deliver(fd)
                    self._renew(fd)
            self._delivered.clear()
            self._target = None
        _mend_streams()

    def show(self) -> None:
        """Bring what a long task wrote so far to its directory, where the rest will follow."""
        with self._lock:
            for fd in _NAMES:
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
        target = f"{self._target()}/{_NAMES[fd]}"
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
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
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


class ThreadCapture:
    """Routes what Python code prints in this thread to the task's own files.

    Args:
        target: Makes the instance directory and gives it; called when something is written.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._files: dict[int, TextIO] = {}

    def __enter__(self) -> ThreadCapture:
        _route.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _route.leave()
        for file in self._files.values():
            try:
                file.close()
            except OSError:
                pass

    def has_file(self, fd: int) -> bool:
        """Whether anything was written to a stream."""
        return fd in self._files

    def file(self, fd: int) -> TextIO:
        """Give the file for a stream, opening it."""
        file = self._files.get(fd)
        if file is None or file.closed:
            mode = "w" if file is None else "a"
            path = f"{self._target()}/{_NAMES[fd]}"
            file = self._files[fd] = _open_log(path, mode)
        return file


def _open_log(path: str, mode: str) -> TextIO:
    return cast("TextIO", open(path, mode, buffering=1, encoding="utf-8", errors="surrogateescape"))


class _Stream(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr while tasks run in threads."""

    def __init__(self, fd: int, original: Any) -> None:
        self._fd = fd
        self.original = original

    def _current(self) -> Any:
        capture = getattr(_route.local, "capture", None)
        return self.original if capture is None else capture.file(self._fd)

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # which is how click tells a stream of text from one of bytes
            msg = f"write() argument must be str, not {type(text).__name__}"
            raise TypeError(msg)
        written: int = self._current().write(text) if text else 0
        return written

    def flush(self) -> None:
        capture = getattr(_route.local, "capture", None)
        if capture is None or capture.has_file(self._fd):
            self._current().flush()

    def close(self) -> None:
        if getattr(_route.local, "capture", None) is not None:
            self._current().close()

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "flush", "close", "original", "_fd", "_current", "writelines", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_current")(), name)


class _Route:
    """Puts the streams in place while any thread captures, and takes them away after the last one."""

    def __init__(self) -> None:
        self.local = threading.local()
        self._lock = threading.Lock()
        self._active = 0
        self._streams: tuple[Any, Any] = (None, None)

    def enter(self, capture: ThreadCapture) -> None:
        with self._lock:
            if self._active == 0:
                self._streams = (_Stream(1, sys.stdout), _Stream(2, sys.stderr))
                sys.stdout, sys.stderr = self._streams
            self._active += 1
        self.local.outer = (getattr(self.local, "capture", None), getattr(self.local, "outer", None))
        self.local.capture = capture

    def leave(self) -> None:
        self.local.capture, self.local.outer = self.local.outer
        with self._lock:
            self._active -= 1
            if self._active == 0:
                out, err = self._streams
                if sys.stdout is out:
                    sys.stdout = object.__getattribute__(out, "original")
                if sys.stderr is err:
                    sys.stderr = object.__getattribute__(err, "original")


_route = _Route()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
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
