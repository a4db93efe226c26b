"""Python's cyclic garbage collector, which looks less often while very many lasting objects are made at once."""
from __future__ import annotations

import gc
import threading

# Python's own default of 700 new objects spends a third of the time that it takes to make 100,000 tasks.
_NEW_OBJECTS = 20_000


class _EasedCollector:
    """Raises the number of new objects between two looks, as long as anybody is within."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = gc.get_threshold()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < _NEW_OBJECTS:
                    gc.set_threshold(_NEW_OBJECTS, *self._before[1:])

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                gc.set_threshold(*self._before)


eased_collector = _EasedCollector()
