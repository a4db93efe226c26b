"""Calls with room for deep recursion, however deep the caller is already."""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_DEPTH = 60_000  # frames; Python compiles no expression that is nested so deep that reading it needs more
_STACK = 256 << 20  # bytes, of which only those are used that are needed


def with_room(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, with a stack that a deeply nested expression does not fill.

    Raises:
        RecursionError: Even that is not enough.
    """
    made: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            made.append(function())
        except BaseException as error:
            raised.append(error)

    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK)
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        thread = threading.Thread(target=run, name="taskproc-deep", daemon=True)
        thread.start()
    finally:
        threading.stack_size(size)
    try:
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    if raised:
        raise raised[0]
    return made[0]
