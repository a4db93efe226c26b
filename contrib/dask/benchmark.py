"""How fast do very many short tasks go? Runs N tasks and their sum, from an empty cache, and prints tasks a second.

    python benchmark.py [N] [backend] [name=value ...]
"""
from __future__ import annotations

import os
import sys
import tempfile
import time

from taskproc import RequiresList, TaskBase


class Short(TaskBase):
    """Does next to nothing."""

    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Block(TaskBase):
    """Adds up a thousand."""

    parts: RequiresList[int]

    def __init__(self, first: int, count: int):
        self.parts = [Short(n) for n in range(first, first + count)]

    def run_task(self) -> int:
        return sum(self.parts)


class Total(TaskBase):
    """Adds up all blocks."""

    blocks: RequiresList[int]

    def __init__(self, count: int):
        self.blocks = [Block(first, min(1000, count - first)) for first in range(0, count, 1000)]

    def run_task(self) -> int:
        return sum(self.blocks)


def main(count: str = "10000", backend: str = "dask", *options: str) -> None:
    """Measure, and print one line."""
    given = dict(option.split("=", 1) for option in options)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TP_CACHE_DIR"] = cache
        began = time.perf_counter()
        found = Total(int(count)).run_graph(backend=backend, backend_options=given)
        seconds = time.perf_counter() - began
    assert found == int(count) * (int(count) - 1) // 2
    print(f"{backend}: {count} tasks in {seconds:.1f} s, {int(count) / seconds:.0f} a second")


if __name__ == "__main__":
    main(*sys.argv[1:])
