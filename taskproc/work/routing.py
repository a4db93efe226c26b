"""Where the output of a task in a thread goes: files of its own, made only when something is printed."""
from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO, cast

from .capture import NAMES


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
            path = f"{self._target()}/{NAMES[fd]}"
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
        self._originals: tuple[Any, ...] = ()
        self._streams: tuple[Any, Any] = (None, None)

    def enter(self, capture: ThreadCapture) -> None:
        with self._lock:
            if self._active == 0:
                if (sys.stdout, sys.stderr) != self._originals:  # else the same streams do again
                    self._originals = (sys.stdout, sys.stderr)
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
                if sys.stdout is self._streams[0]:
                    sys.stdout = self._originals[0]
                if sys.stderr is self._streams[1]:
                    sys.stderr = self._originals[1]


_route = _Route()
