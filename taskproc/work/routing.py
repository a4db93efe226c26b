"""Where the output of a task in a thread goes: files of its own, made only when something is printed."""
from __future__ import annotations

import io
import logging
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
        self.is_open = False
        self._target = target
        self._files: dict[int, TextIO] = {}

    def __enter__(self) -> ThreadCapture:
        self.is_open = True
        _route.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _route.leave()
        self.is_open = False
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
        capture = _route.capture()
        return self.original if capture is None else capture.file(self._fd)

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # which is how click tells a stream of text from one of bytes
            msg = f"write() argument must be str, not {type(text).__name__}"
            raise TypeError(msg)
        written: int = self._current().write(text) if text else 0
        return written

    def flush(self) -> None:
        capture = _route.capture()
        if capture is None or capture.has_file(self._fd):
            self._current().flush()

    def close(self) -> None:
        if _route.capture() is not None:
            self._current().close()

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "flush", "close", "original", "_fd", "_current", "writelines", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_current")(), name)


class _Route:
    """Puts the streams in place while any thread captures, and takes them away after the last one.

    What a script's logging writes to them, and what threads that a task starts print, goes the same way.
    """

    def __init__(self) -> None:
        self.local = threading.local()
        self._lock = threading.Lock()
        self._active = 0
        self._originals: tuple[Any, ...] = ()
        self._streams: tuple[Any, Any] = (None, None)
        self._logs: list[tuple[Any, Any]] = []

    def capture(self) -> ThreadCapture | None:
        """Give what this thread's output goes to, if that is not the process's own."""
        capture: ThreadCapture | None = getattr(self.local, "capture", None)
        return capture if capture is not None and capture.is_open else None

    def enter(self, capture: ThreadCapture) -> None:
        with self._lock:
            if self._active == 0:
                if (sys.stdout, sys.stderr) != self._originals:  # else the same streams do again
                    self._originals = (sys.stdout, sys.stderr)
                    self._streams = (_Stream(1, sys.stdout), _Stream(2, sys.stderr))
                sys.stdout, sys.stderr = self._streams
                self._redirect_logs()
                threading.Thread.start = _start_with_capture  # type: ignore[method-assign, assignment]
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
                for handler, stream in self._logs:
                    if isinstance(handler.stream, _Stream):
                        handler.setStream(stream)
                if threading.Thread.start is _start_with_capture:
                    threading.Thread.start = _start  # type: ignore[method-assign]

    def _redirect_logs(self) -> None:
        """Have handlers that write to the streams' originals write to the streams."""
        self._logs = []
        for handler in [reference() for reference in logging._handlerList]:  # type: ignore[attr-defined]
            if isinstance(handler, logging.StreamHandler):
                for original, stream in zip(self._originals, self._streams, strict=True):
                    if handler.stream is original:
                        self._logs.append((handler, original))
                        handler.setStream(stream)


def _start_with_capture(thread: threading.Thread) -> None:
    """Start a thread whose output goes where that of the thread goes which starts it."""
    capture = _route.capture()
    if capture is None:
        _start(thread)
        return
    run = thread.run

    def run_captured() -> None:
        _route.local.capture = capture
        run()

    thread.run = run_captured  # type: ignore[method-assign]
    _start(thread)


_start = threading.Thread.start
_route = _Route()
