"""Very many tasks, in a row or side by side: they build, run and re-check."""
from __future__ import annotations

import time
from typing import Any

import pytest

from taskproc import Const, Requires, RequiresList, TaskBase
from tests.support import run_and_count

MANY = [20_000, pytest.param(100_000, marks=pytest.mark.exhaustive)]
MANY_DIRECTORIES = [2_000, pytest.param(10_000, marks=pytest.mark.exhaustive)]


class Link(TaskBase):
    up: Requires[int]

    def __init__(self, n: int):
        self.up = Link(n - 1) if n else Const(0)

    def run_task(self) -> int:
        return self.up + 1


class Leaf(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Fan(TaskBase):
    parts: RequiresList[int]

    def __init__(self, count: int):
        self.parts = [Leaf(n) for n in range(count)]

    def run_task(self) -> int:
        return sum(self.parts)


def shape(name: str, count: int) -> tuple[TaskBase[Any], int]:
    """Build a graph of so many tasks; give its root and its result."""
    return (Link(count - 1), count) if name == "chain" else (Fan(count - 1), sum(range(count - 1)))


@pytest.mark.slow
@pytest.mark.no_cover  # tracing would take longer than the work
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("name", ["chain", "fan"])
def test_very_many_tasks_run_and_are_rechecked_for_a_small_part_of_that(
    name: str, count: int, cache: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TP_STORE", "packed")
    root, answer = shape(name, count)
    first, seconds = timed(root)
    again, seconds_again = timed(root)
    assert (first, again) == ((answer, count), (answer, 0))
    assert seconds_again < seconds / 2


def timed(root: TaskBase[Any]) -> tuple[Any, float]:
    """Run a graph; give what comes of it, and the processor time that it took."""
    started = time.process_time()
    return run_and_count(root, backend="thread"), time.process_time() - started


@pytest.mark.slow
@pytest.mark.no_cover  # tracing would take longer than the work
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", MANY_DIRECTORIES)
@pytest.mark.parametrize("name", ["chain", "fan"])
def test_very_many_tasks_in_a_tree_of_directories(name: str, count: int, cache: Any):
    root, answer = shape(name, count)
    assert run_and_count(root, backend="thread") == (answer, count)
    assert run_and_count(root, backend="thread") == (answer, 0)


@pytest.mark.parametrize("name", ["chain", "fan"])
def test_payload_does_not_grow_with_the_graph(name: str, cache: Any, monkeypatch: pytest.MonkeyPatch):
    from taskproc.run.payloads import Payloads

    sizes: list[int] = []
    pack = Payloads.payload
    monkeypatch.setattr(Payloads, "payload", lambda *args: sizes.append(len(made := pack(*args))) or made)
    root, _ = shape(name, 1000)
    run_and_count(root, backend="thread")
    assert len(sizes) == 1000
    assert sorted(sizes)[-2] < 2000
