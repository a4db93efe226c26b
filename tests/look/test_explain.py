"""Why a task would run or not: what the plan knows, told with what changed and what became of the last attempt."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskproc import FailedTaskError, Requires, TaskBase
from taskproc.look.explain import Explainer, Reason
from taskproc.plan.graph import Plan, TaskGraph
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.source import SourceReader

pytestmark = pytest.mark.usefixtures("cache")


class Number(TaskBase):
    def __init__(self, n: int, kind: str = "a") -> None:
        self.n = n

    def run_task(self) -> int:
        if self.n < 0:
            raise ValueError("below zero\nand more")
        return self.n


class Next(TaskBase):
    up: Requires[int]

    def __init__(self, up: TaskBase[int]) -> None:
        self.up = up

    def run_task(self) -> int:
        return self.up + 1


def explained(task: TaskBase[Any], of: TaskBase[Any] | None = None, *, thorough: bool = True) -> list[Reason]:
    plan = Plan(TaskGraph(task, current_cache()), detect_source_change=True)
    return Explainer(plan, current_cache()).reasons(plan.graph.node_of[(of or task)._task.digest], thorough=thorough)


def run(task: TaskBase[Any]) -> None:
    task.run_graph(backend="thread")


def change_source(monkeypatch: pytest.MonkeyPatch, cls: type) -> None:
    before = SourceReader.text

    def changed(reader: SourceReader, asked: type, *more: Any) -> str | None:
        text = before(reader, asked, *more)
        return text.replace("return self.n", "return self.n * 2") if text and asked is cls else text

    monkeypatch.setattr(SourceReader, "text", changed)


def test_no_result_of_any_task(either_store: str) -> None:
    assert explained(Number(1)) == [Reason("no result", "no result: no task of its class has one")]


def test_new_arguments_name_the_nearest_that_has_a_result() -> None:
    for n in range(3):
        run(Number(n))
    run(Number(5, "b"))
    (reason,) = explained(Number(2, "b"))
    assert reason == Reason("new arguments", "no result with these arguments; nearest is Number#3, with n=5")
    assert explained(Number(2, "b"), thorough=False)[0].text == "no result with these arguments"


def test_new_arguments_in_the_packed_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_STORE", "packed")
    run(Number(1))
    assert explained(Number(2)) == [Reason("new arguments", "no result with these arguments")]


def test_fresh_tells_when_it_was_made(either_store: str) -> None:
    run(Number(1))
    (reason,) = explained(Number(1))
    assert reason.kind == "fresh"
    assert "its result is fresh: it was made on 2" in reason.text


def test_cleared(either_store: str) -> None:
    run(Number(1))
    Number(1).clear_task()
    (reason,) = explained(Number(1))
    assert reason.kind == "cleared"
    assert reason.text.endswith("made one, which was cleared since")
    run(Number(1))
    Number.clear_all_tasks()
    assert explained(Number(1))[0].kind == "cleared"


def test_failed_tells_how(either_store: str) -> None:
    with pytest.raises(FailedTaskError):
        run(Number(-1))
    (reason,) = explained(Number(-1))
    assert reason.kind == "failed"
    assert reason.text.startswith("no result: its last attempt failed on ")
    assert reason.text.endswith(": ValueError: below zero")


def test_damaged(cache: Path) -> None:
    run(Number(1))
    path = cache / f"taskproc/{__name__}.Number/results/0/result.pkl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + b"12345678")
    (reason,) = explained(Number(1))
    assert reason.kind == "damaged"
    assert "its result is damaged, and will be dropped when it is read" in reason.text
    path.write_bytes(whole[:-9])
    (reason,) = explained(Number(1), thorough=False)
    assert reason.kind == "damaged"


def test_changed_source_with_its_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    run(Next(Number(1)))
    change_source(monkeypatch, Number)
    (reason,) = explained(Number(1))
    assert (reason.kind, reason.text) == ("source changed", "its source changed: Number.run_task")
    assert [line for line in reason.diff if line[0] in "+-"] == [
        "-        return self.n", "+        return self.n * 2",
    ]  # fmt: skip
    (downstream,) = explained(Next(Number(1)))
    assert (downstream.kind, downstream.text) == ("upstream runs", "Number(n=1, kind='a') would run before it")


def test_a_source_that_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Number(1))
    for kept in cache.rglob("sources/*.txt"):
        kept.unlink()
    change_source(monkeypatch, Number)
    assert explained(Number(1)) == [Reason("source changed", "its source changed (the former one is not kept)")]


def test_several_reasons_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Next(Next(Number(1)))
    run(chain)
    Number(1).clear_task()
    reasons = explained(chain)
    assert [reason.kind for reason in reasons] == ["upstream runs"]
    assert "in the end because of Number(n=1, kind='a') (no result: run " in reasons[0].text
    change_source(monkeypatch, Number)
    Next(Number(1)).clear_task()
    assert [reason.kind for reason in explained(chain, Next(Number(1)))] == ["cleared", "upstream runs"]


def test_a_newer_upstream_is_named(either_store: str) -> None:
    run(Next(Number(1)))
    Number(1).clear_task()
    run(Number(1))
    (reason,) = explained(Next(Number(1)))
    assert reason == Reason("upstream newer", "Number(n=1, kind='a') has a newer result")


def test_what_one_cause_makes_run_is_told_together() -> None:
    tasks = [Number(1)]
    for _ in range(50):
        tasks.append(Next(tasks[-1]))  # type: ignore[arg-type]
    run(tasks[-1])
    Number(1).clear_task()
    plan = Plan(TaskGraph(tasks[-1], current_cache()), detect_source_change=True)
    assert Explainer(plan, current_cache()).causes == [0] * 51
