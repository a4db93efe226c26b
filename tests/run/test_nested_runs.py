"""A task that runs a graph of its own: what it may ask for, and what it may not."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from taskproc import Context, FailedTaskError, RequiresList, TaskBase
from taskproc.base.errors import CycleError
from tests.support import wait_for


class RunsItself(TaskBase):
    def run_task(self) -> Any:
        return RunsItself().run_graph()


class Ping(TaskBase):
    def run_task(self) -> Any:
        return Pong().run_graph()


class Pong(TaskBase):
    def run_task(self) -> Any:
        return Ping().run_graph()


class Asks(TaskBase, backend_options=lambda task, attempt: task.asked(attempt)):
    def __init__(self, log: str) -> None:
        self.log = log

    def asked(self, attempt: int) -> dict[str, Any]:
        with Path(self.log).open("a") as file:
            file.write(f"{attempt}\n")
        return {}

    def run_task(self) -> int:
        return 1


class Speaks(TaskBase):
    def run_task(self) -> None:
        print("here")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_task_that_runs_itself_is_told_so_instead_of_waiting(backend: str) -> None:
    with pytest.raises(FailedTaskError) as failed:
        RunsItself().run_graph(backend=backend)
    assert isinstance(failed.value.exception, CycleError)
    assert "RunsItself() is running" in str(failed.value)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_tasks_that_run_each_other_are_told_so_instead_of_waiting(backend: str) -> None:
    with pytest.raises(FailedTaskError, match="Ping\\(\\) is running"):
        Ping().run_graph(backend=backend)


class Side(TaskBase):
    def __init__(self, place: str, own: str, other: str) -> None:
        self.place, self.own, self.other = place, own, other

    def run_task(self) -> Any:
        Path(self.place, self.own).touch()
        wait_for(Path(self.place, self.other).exists, "the other to run")
        return Side(self.place, self.other, self.own).run_graph()


class Both(TaskBase):
    sides: RequiresList[Any]

    def __init__(self, place: str) -> None:
        self.sides = [Side(place, "left", "right"), Side(place, "right", "left")]

    def run_task(self) -> Any:
        return self.sides


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_running_tasks_that_ask_for_each_other_are_told_so_instead_of_waiting(tmp_path: Path, backend: str) -> None:
    with pytest.raises(FailedTaskError, match=r"CycleError: tasks need each other: .*'left'.*'right'"):
        Both(str(tmp_path)).run_graph(backend=backend, max_workers=2)


@pytest.mark.usefixtures("cache")
def test_options_are_asked_for_once_an_attempt(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    assert Asks(str(log)).run_graph(backend="thread") == 1
    assert log.read_text().split() == ["0"]


@pytest.mark.usefixtures("cache")
def test_context_can_make_every_task_interactive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Context, "interactive", True)
    Speaks().run_graph()
    assert capsys.readouterr().out == "here\n"


class Step(TaskBase):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        if self.n % 10:
            return self.n
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(lambda n: Step(self.n + n).run_graph(), range(1, 6)))


class Steps(TaskBase):
    steps: RequiresList[int]

    def __init__(self) -> None:
        self.steps = [Step(n) for n in range(60)]

    def run_task(self) -> int:
        return len(self.steps)


class InThread(TaskBase):
    def run_task(self) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(InThread().run_graph).result()


class Terminal(TaskBase, interactive=True):
    def run_task(self) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(Step(71).run_graph).result()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("store", ["tree", "packed"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_graph_in_a_thread_that_a_task_started_waits_for_nothing_behind_the_task(
    monkeypatch: pytest.MonkeyPatch, backend: str, workers: int, store: str
) -> None:
    monkeypatch.setenv("TP_STORE", store)
    assert Steps().run_graph(backend=backend, max_workers=workers) == 60


@pytest.mark.usefixtures("cache")
def test_a_task_that_runs_itself_in_a_thread_is_told_so_instead_of_waiting() -> None:
    with pytest.raises(FailedTaskError, match="InThread\\(\\) is running"):
        InThread().run_graph(backend="process")


@pytest.mark.usefixtures("cache")
def test_a_task_with_the_terminal_may_run_a_graph_in_a_thread() -> None:
    assert Terminal().run_graph(backend="thread") == 71
