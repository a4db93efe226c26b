"""What a plan does to learn the states of inputs: it looks at each once, and reads nothing that it knows."""
from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from taskproc import EnvVar, InputFile, RequiresList, TaskBase
from taskproc.plan import inputs as plan_inputs
from taskproc.plan.graph import Plan, TaskGraph
from taskproc.tasks import contents
from taskproc.tasks.in_use import current_cache

pytestmark = pytest.mark.usefixtures("cache")


class Read(TaskBase, depends_on=EnvVar("TP_TEST_MODE", default="")):
    def __init__(self, n: int, table: InputFile):
        self.n, self.table = n, table

    def run_task(self) -> int:
        return self.n


class Plain(TaskBase):
    def __init__(self, n: int, table: Path):
        self.n, self.table = n, table

    def run_task(self) -> int:
        return self.n


class All(TaskBase):
    parts: RequiresList[int]

    def __init__(self, of: str, paths: list[str]):
        make: Any = Read if of == "Read" else Plain
        self.parts = [make(n, Path(path)) for n, path in enumerate(paths)]

    def run_task(self) -> int:
        return len(self.parts)


def plan(task: TaskBase[Any]) -> Plan:
    return Plan(TaskGraph(task, current_cache()), detect_source_change=True)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be an hour later for who looks at files, so that these were not written just now."""
    now = time.time_ns
    monkeypatch.setattr("taskproc.tasks.contents.time.time_ns", lambda: now() + 3_600_000_000_000)


def test_each_input_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "in.csv").touch()
    looked: Counter[Any] = Counter()

    def look(spec: Any, *how: Any) -> Any:
        looked[spec] += 1
        return original(spec, *how)

    original = plan_inputs.look
    monkeypatch.setattr(plan_inputs, "look", look)
    plan(All("Read", [str(tmp_path / "in.csv")] * 10))
    assert looked == {("file", str(tmp_path / "in.csv")): 1, ("env", "TP_TEST_MODE", ""): 1}


@pytest.mark.usefixtures("later")
def test_what_is_known_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = [str(tmp_path / f"{n}.csv") for n in range(10)]
    for path in paths:
        Path(path).write_text(path)
    task = All("Read", paths)
    task.run_graph(backend="thread")
    monkeypatch.setattr(contents, "content_digest", None)
    assert plan(task).stale == []


def test_result_says_what_is_missing_and_is_as_before_when_that_is_back(tmp_path: Path):
    path = tmp_path / "in.csv"
    path.write_text("1")
    task = All("Read", [str(path)])
    task.run_graph(backend="thread")
    path.rename(tmp_path / "away")
    assert plan(task).reasons[0] == f"its inputs: file {path} is not there (looked for at {path})"
    (tmp_path / "away").rename(path)
    assert plan(task).stale == []


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.usefixtures("later")
def test_thousand_inputs_cost_little_when_nothing_is_to_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TP_STORE", "packed")
    paths = [str(tmp_path / f"{n}.csv") for n in range(1000)]
    for path in paths:
        Path(path).write_text(path)
    with_inputs, without = (seconds_of_nothing(All(of, paths)) for of in ("Read", "Plain"))
    assert with_inputs < without + 0.05


def seconds_of_nothing(task: TaskBase[Any]) -> float:
    """Run a task, and measure what it takes of a processor to find that nothing is to be done: the best of many."""
    task.run_graph(backend="thread")
    taken = []
    for _ in range(10):
        begun = time.process_time()
        task.run_graph(backend="thread")
        taken.append(time.process_time() - begun)
    return min(taken)


def test_result_of_a_class_that_gets_an_input_which_is_missing_is_not_fresh(monkeypatch: pytest.MonkeyPatch):
    task = Plain(1, Path("x"))
    task.run_graph(backend="thread")
    monkeypatch.setitem(Plain._task_config.__dict__, "inputs", (("file", "missing.csv"),))
    assert plan(task).reasons[0].startswith("its inputs: file missing.csv is not there")
