"""taskproc, as a user writes it, today's and 0.13. Backend and store come from the environment."""
from __future__ import annotations

import os
from pathlib import Path

from benchmarks.work import Work, combine
from taskproc import Requires, RequiresList, TaskBase


class Leaf(TaskBase):
    """A node that needs nothing."""

    def __init__(self, node: int):
        self.node = node

    def run_task(self) -> int:
        return combine(self.node, [])


class Total(TaskBase):
    """The sum of all leaves."""

    leaves: RequiresList[int]

    def __init__(self, size: int):
        self.size = size
        self.leaves = [Leaf(node) for node in range(size)]

    def run_task(self) -> int:
        return combine(self.size, self.leaves)


class Link(TaskBase):
    """A link of the chain."""

    before: RequiresList[int]

    def __init__(self, node: int):
        self.node = node
        self.before = [Link(node - 1)] if node else []

    def run_task(self) -> int:
        return combine(self.node, self.before)


class Corner(TaskBase):
    """The first cell of the grid."""

    def run_task(self) -> int:
        return combine(0, [])


class Edge(TaskBase):
    """A cell in the grid's first row or column."""

    before: Requires[int]

    def __init__(self, row: int, column: int, side: int):
        self.node = row * side + column
        self.before = cell(row, column - 1, side) if column else cell(row - 1, column, side)

    def run_task(self) -> int:
        return combine(self.node, [self.before])


class Cell(TaskBase):
    """Any other cell of the grid."""

    above: Requires[int]
    left: Requires[int]

    def __init__(self, row: int, column: int, side: int):
        self.node = row * side + column
        self.above, self.left = cell(row - 1, column, side), cell(row, column - 1, side)

    def run_task(self) -> int:
        return combine(self.node, [self.above, self.left])


def cell(row: int, column: int, side: int) -> TaskBase[int]:
    """Give a cell of the grid."""
    if row and column:
        return Cell(row, column, side)
    return Edge(row, column, side) if row or column else Corner()


def run(work: Work, place: Path) -> int:
    """Run what is to be run; the cache is in the working directory."""
    if work.shape == "wide":
        return Total(work.size).run_graph(max_workers=_workers())
    if work.shape == "chain":
        return Link(work.size - 1).run_graph(max_workers=_workers())
    return cell(work.side - 1, work.side - 1, work.side).run_graph(max_workers=_workers())


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    middle = work.middle
    if work.shape == "wide":
        Leaf(middle).clear_task()
    elif work.shape == "chain":
        Link(middle).clear_task()
    else:
        cell(*divmod(middle, work.side), work.side).clear_task()


def _workers() -> int:
    return int(os.environ["BENCHMARK_WORKERS"])
