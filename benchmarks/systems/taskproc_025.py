"""taskproc 0.25, whose interface differs."""
from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.work import Work, combine
from taskproc import FutureList, Graph, Task


class Node(Task):
    """A node of any shape."""

    def __init__(self, shape: str, size: int, node: int):
        self.node = node
        self.needed = FutureList([Node(shape, size, up) for up in Work(shape, size).upstreams(node)])

    def run_task(self) -> int:
        return combine(self.node, self.needed.get_result())


def run(work: Work, place: Path) -> int:
    """Run what is to be run."""
    with Graph(place / "cache"):
        task = Node(work.shape, work.size, work.nodes - 1)
    pool = ProcessPoolExecutor(int(os.environ["BENCHMARK_WORKERS"]))
    answer, _ = task.run_graph(executor=pool)
    return int(answer)


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    with Graph(place / "cache"):
        Node(work.shape, work.size, work.middle).clear_task()
