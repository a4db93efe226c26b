"""The plan: what must run and why; the graph: every task once, behind its upstreams."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import networkx
import pytest

from taskproc import Const, FailedTaskError, Requires, RequiresList, TaskBase
from taskproc.plan.graph import Plan, TaskGraph
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.source import SourceReader
from tests.support import run_and_count

pytestmark = pytest.mark.usefixtures("cache")


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Sum(TaskBase):
    parts: RequiresList[int]

    def __init__(self, *parts: Any):
        self.parts = list(parts)

    def run_task(self) -> int:
        return sum(self.parts)


class Top(TaskBase):
    sum: Requires[int]

    def __init__(self) -> None:
        self.sum = Sum(Number(1), Number(2), Const(3), Number(1))

    def run_task(self) -> int:
        return self.sum


def plan(task: TaskBase[Any], **how: Any) -> Plan:
    return Plan(TaskGraph(task, current_cache()), detect_source_change=True, **how)


def reasons(task: TaskBase[Any], **how: Any) -> dict[str, str]:
    made = plan(task, **how)
    return {repr(task): reason for task, reason in zip(made.graph.tasks, made.reasons, strict=True) if reason}


def run(task: TaskBase[Any], **how: Any) -> tuple[Any, int]:
    return run_and_count(task, backend="thread", **how)


def test_graph_holds_every_task_once_behind_its_upstreams():
    graph = TaskGraph(Top(), current_cache())
    assert len(graph) == 4
    assert graph.tasks[-1] is Top()
    assert all(up < node for node, ups in enumerate(graph.upstreams) for up in ups)


def test_graph_goes_to_networkx():
    graph = TaskGraph(Top(), current_cache()).to_networkx()
    assert networkx.is_directed_acyclic_graph(graph)
    assert {repr(task) for _, task in graph.nodes("task")} >= {"Number(n=1)", "Top()"}
    assert graph.number_of_edges() == 3


def test_reasons_follow_the_graph():
    assert set(reasons(Top()).values()) == {"no result"}
    run(Top())
    assert reasons(Top()) == {}
    Number(2).clear_task()
    found = reasons(Top())
    assert found.pop("Number(n=2)") == "no result"
    assert found.pop("Top()").startswith("its upstream Sum(")
    assert list(found.values()) == ["its upstream Number(n=2) runs"]


def test_newer_upstream_makes_a_result_stale(either_store: str):
    run(Top())
    Number(1).clear_task()
    run(Number(1))
    found = reasons(Top())
    assert "an upstream has a newer result" in found.values()
    assert set(found) == {repr(Sum(Number(1), Number(2), Const(3), Number(1))), "Top()"}


def test_forced_node_and_what_needs_it():
    run(Top())
    assert reasons(Top(), forced=[3]) == {"Top()": "asked for by force"}


def test_changed_source_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    run(Top())
    before = SourceReader.text

    def changed(reader: SourceReader, cls: type, *more: Any) -> str:
        return (before(reader, cls, *more) or "") + "\nmore = 1" * (cls is Sum)

    monkeypatch.setattr(SourceReader, "text", changed)
    assert "its source changed" in reasons(Top()).values()
    assert len(reasons(Top())) == 2
    assert run(Top(), detect_source_change=False) == (7, 0)
    assert run(Top()) == (7, 1)  # and what needs it is spared, since it gave the same again


def test_failed_task_keeps_what_depends_on_it_stale(tmp_path: Path, either_store: str):
    switch = tmp_path / "switch"

    class Switched(TaskBase):
        def run_task(self) -> int:
            return int(switch.read_text())

    class After(TaskBase):
        up: Requires[int]

        def __init__(self) -> None:
            self.up = Switched()

        def run_task(self) -> int:
            return self.up

    switch.write_text("1")
    assert run(After()) == (1, 2)
    Switched().clear_task()
    switch.unlink()
    with pytest.raises(FailedTaskError):
        run(After())
    switch.write_text("2")
    assert run(After()) == (2, 2)


def test_upstream_with_the_same_result_still_runs_its_downstream():
    # Provenance is by commit, not by value: whoever runs again has a new commit.
    run(Top())
    Number(1).clear_task()
    assert run(Top())[1] == 3


class Link(TaskBase):
    up: Requires[int]

    def __init__(self, n: int):
        self.up = Link(n - 1) if n else Const(0)

    def run_task(self) -> int:
        return self.up + 1


class Wide(TaskBase):
    parts: RequiresList[int]

    def __init__(self, count: int):
        self.parts = [Number(n) for n in range(count)]

    def run_task(self) -> int:
        return sum(self.parts)


@pytest.mark.parametrize("shape", [Link, Wide])
def test_planning_is_linear(shape: type[TaskBase[Any]]):
    def seconds(count: int) -> float:
        task = shape(count)
        started = time.process_time()
        plan(task)
        return time.process_time() - started

    seconds(100)
    few = min(seconds(2000) for _ in range(3))
    many = min(seconds(20000) for _ in range(2))
    assert many < 30 * few + 0.2
