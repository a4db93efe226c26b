"""Calls in threads of their own, whose stack is empty however deep the caller is."""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NoThreadError(RuntimeError):
    """The machine gives no further thread."""


_DEPTH = 60_000  # frames; Python compiles no expression that is nested so deep that reading it needs more
_STACK = 256 << 20  # bytes, of which only those are used that are needed


def with_room(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, with a stack that a deeply nested expression does not fill.

    Raises:
        RecursionError: Even that is not enough.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        return in_fresh_thread(function, _STACK)
    finally:
        sys.setrecursionlimit(limit)


def in_fresh_thread(function: Callable[[], T], stack: int = 0) -> T:
    """Call a function in a thread of its own, and wait for it: give what it gives, raise what it raises.

    Args:
        function: What to call.
        stack: Bytes for the thread's stack; 0: as many as any other has.

    Raises:
        NoThreadError: No thread can be started.
    """
    made: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            made.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="taskproc-deep", daemon=True)
    before = threading.stack_size()
    try:
        if stack:
            threading.stack_size(stack)
        thread.start()
    except RuntimeError as error:
        raise NoThreadError(*error.args) from None
    finally:
        if stack:
            threading.stack_size(before)
    thread.join()
    if raised:
        raise raised[0]
    return made[0]
