"""Errors that end threads: who wants to learn of them does, however many runs there are in this process."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, str], None]

_lock = threading.Lock()
_listeners: list[Listener] = []
_before = threading.excepthook


@contextmanager
def watching(listener: Listener) -> Iterator[None]:
    """Call a function when an error ends a thread, with the file of the thread's own function, and the error in words.

    Args:
        listener: Called in the thread that ends.
    """
    global _before
    with _lock:
        if not _listeners:
            _before = threading.excepthook
            threading.excepthook = _seen
        _listeners.append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)
            if not _listeners and threading.excepthook is _seen:
                threading.excepthook = _before


def _seen(details: threading.ExceptHookArgs) -> None:
    _before(details)
    at = details.exc_traceback
    while at is not None and at.tb_frame.f_code.co_filename == threading.__file__:
        at = at.tb_next
    if at is not None:
        reason = f"{details.exc_type.__name__}: {details.exc_value}"
        for listener in list(_listeners):
            listener(at.tb_frame.f_code.co_filename, reason)
