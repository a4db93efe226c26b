"""Signals that end a run."""
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminable(ending: threading.Event) -> Iterator[None]:
    """Treat SIGTERM as an interrupt, where signals can be handled.

    Args:
        ending: Set by the signal, for where a task takes the interrupt for its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            ending.set()
            raise KeyboardInterrupt("terminated")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork of ours, which has nothing to put in order
        os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let what must not be left half done be done; Ctrl-C and SIGTERM meanwhile interrupt afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: seen.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if seen:
        os.kill(os.getpid(), seen[0])
