"""A small graph that grows while it runs, with a known answer, whose tasks note that they ran."""
from __future__ import annotations

from typing import Any

from taskproc import Requires, RequiresList, Task, TaskBase
from tests.faults.graph import first_run, mark


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        mark(self)
        return self.n


class Spread(TaskBase, expands=True):
    """Returns numbers and a further task that expands."""

    first: Requires[int]

    def __init__(self, depth: int):
        self.depth, self.first = depth, Number(depth)

    def run_task(self) -> list[Task[Any]]:
        mark(self)
        inner: list[Task[Any]] = [Spread(self.depth - 1)] if self.depth else []
        return [*inner, Number(self.first), Number(10 * self.first + 1)]


class Total(TaskBase):
    spreads: RequiresList[Any]

    def __init__(self) -> None:
        self.spreads = [Spread(1), Spread(2)]

    def run_task(self) -> str:
        mark(self)
        return repr(self.spreads)


ANSWER = "[[[0, 1], 1, 11], [[[0, 1], 1, 11], 2, 21]]"
NUMBERS = (0, 1, 2, 11, 21)


def growing_run(backend: str) -> Any:
    """Run the graph."""
    return first_run(backend, Total())


WHAT = {"growing": growing_run}
