"""The plan knows what tasks that expand have returned, and judges it as all else."""
from __future__ import annotations

from typing import Any

import pytest

from taskproc import Requires, RequiresList, TaskBase
from taskproc.plan.graph import Plan
from taskproc.run.request import RunRequest
from taskproc.run.run import make_plan
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.settings import load_settings

pytestmark = pytest.mark.usefixtures("cache")


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Numbers(TaskBase, expands=True):
    def __init__(self, count: int):
        self.count = count

    def run_task(self) -> list[Number]:
        return [Number(n) for n in range(self.count)]


class Inner(TaskBase, expands=True):
    def __init__(self, count: int):
        self.count = count

    def run_task(self) -> dict[str, Any]:
        return {"again": Numbers(self.count), "one": Number(100)}


class Sum(TaskBase):
    numbers: Requires[list[int]]

    def __init__(self, count: int):
        self.numbers = Numbers(count)

    def run_task(self) -> int:
        return sum(self.numbers)


class Deep(TaskBase):
    inner: Requires[Any]

    def __init__(self, count: int):
        self.inner = Inner(count)

    def run_task(self) -> int:
        return sum(self.inner["again"]) + int(self.inner["one"])


class Both(TaskBase):
    sums: RequiresList[int]

    def __init__(self) -> None:
        self.sums = [Sum(3), Deep(2)]

    def run_task(self) -> int:
        return sum(self.sums)


def plan(task: TaskBase[Any]) -> Plan:
    return make_plan(task, RunRequest(), load_settings(), current_cache())


def reasons(task: TaskBase[Any]) -> dict[str, str]:
    made = plan(task)
    return {repr(task): reason for task, reason in zip(made.graph.tasks, made.reasons, strict=True) if reason}


def test_nothing_is_known_before_and_all_is_after():
    assert len(plan(Both()).graph) == 5
    assert Both().run_graph(backend="thread") == 3 + 1 + 100
    assert reasons(Both()) == {}
    assert {repr(task) for task in plan(Both()).graph.tasks} == {
        "Number(n=0)", "Number(n=1)", "Number(n=2)", "Number(n=100)", "Numbers(count=3)", "Numbers(count=2)",
        "Inner(count=2)", "Sum(count=3)", "Deep(count=2)", "Both()",
    }  # fmt: skip


def test_each_task_stands_behind_all_that_it_waits_for_and_the_one_asked_for_is_last():
    Both().run_graph(backend="thread")
    made = plan(Both())
    assert made.graph.root == len(made.graph) - 1
    assert made.growth is not None
    for node, upstreams in enumerate(made.graph.upstreams):
        assert all(up < node for up in [*upstreams, *made.growth.returned.get(node, ())])


def test_what_waits_for_a_task_that_was_returned_says_so():
    Both().run_graph(backend="thread")
    Number(100).clear_task()
    assert reasons(Both()) == {
        "Number(n=100)": "no result",
        "Deep(count=2)": "its upstream Number(n=100) runs",
        "Both()": "its upstream Deep(count=2) runs",
    }
    made = plan(Both())
    assert [repr(made.graph.tasks[node]) for node in made.expanded()] == ["Inner(count=2)"]
    assert {repr(made.graph.tasks[node]) for node in made.doubtful()} == {"Both()"}


def test_what_was_returned_counts_in_the_versions_of_what_needs_it():
    Both().run_graph(backend="thread")
    Number(0).clear_task()
    Number(0).run_graph(backend="thread")
    assert reasons(Both())["Sum(count=3)"] == "an upstream has a newer result"
    assert reasons(Both())["Deep(count=2)"] == "an upstream has a newer result"


def test_expanding_task_that_was_cleared_hides_what_it_returned():
    Both().run_graph(backend="thread")
    Inner(2).clear_task()
    made = plan(Both())
    assert [repr(made.graph.tasks[node]) for node in made.expanding()] == ["Inner(count=2)"]
    assert "Number(n=100)" not in map(repr, made.graph.tasks)
