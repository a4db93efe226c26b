"""`kill -9` of a driver whose graph grows: what was returned is not lost, nothing that was done is done again."""
from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from taskproc import TaskBase
from taskproc.store.cache import Cache
from tests.faults import growing
from tests.faults.killing import _lines, of_each_kind
from tests.faults.nursery import Driven, Nursery

MODULE = "tests.faults.growing"


class Stage:
    """A place where a growing run is killed again and again, each time with a cache of its own."""

    def __init__(self, nursery: Nursery, home: Path, backend: str, store: str) -> None:
        self.nursery = nursery
        self.home = home
        self.backend = backend
        self.store = store

    def play(self, cache: Path, at: int = 0, armed: bool = False, **env: str) -> Driven:
        """Run it, or a part of it."""
        site = Path(f"{cache}.site")
        site.mkdir(exist_ok=True)
        given = {"TP_STORE": self.store, "TP_FAULT_SITE": str(site), **env}
        return self.nursery.drive("growing", cache, self.backend, env=given, at=at, armed=armed, module=MODULE)

    def calls(self) -> list[str]:
        """Play it unharmed; give the calls that touched the cache."""
        log = self.home / "unharmed.calls"
        self.play(self.home / "unharmed", armed=True, TP_FAULT_KEEP=str(log))
        return log.read_text().splitlines()

    def kill(self, at: int) -> list[str]:
        """Kill the driver at a call, run twice more, and give everything that is not as it should be."""
        cache, count = self.home / f"killed-{at}", self.home / f"killed-{at}.count"
        self.play(cache, at=at)
        if self.backend != "standin":  # whose jobs live on, and are followed by the next run
            self.nursery.strays(60)
        tasks = [growing.Total(), *map(growing.Spread, range(3)), *map(growing.Number, growing.NUMBERS)]
        done = {repr(task) for task in tasks if _has_result(cache, task)}
        seen = len(_lines(count))
        again = self.play(cache)
        ran = _lines(count)[seen:]
        problems = [] if again.answer == growing.ANSWER else [f"the next run gave {again}"]
        problems += [f"{name} ran though its result was there" for name in sorted(done.intersection(ran))]
        problems += [f"ran twice: {ran}"] if len(set(ran)) < len(ran) else []
        self.play(cache)
        problems += ["a third run was not cached"] if _lines(count)[seen + len(ran) :] else []
        shutil.rmtree(cache)
        return [f"killed at call {at}: {problem}" for problem in problems]


def _has_result(cache: Path, task: TaskBase[Any]) -> bool:
    store = Cache(str(cache)).class_store(task.task_name)
    try:
        return store.peek([task._task.digest])[0] is not None
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["tree", "packed"])
@pytest.mark.parametrize("backend", ["thread", "process", "standin"])
def test_killed_while_the_graph_grows(nursery: Nursery, tmp_path: Path, backend: str, store: str):
    stage = Stage(nursery, tmp_path, backend, store)
    points = of_each_kind(stage.calls())[5::12][:8]
    assert points
    assert [problem for at in points for problem in stage.kill(at)] == []


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("store", ["tree", "packed"])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_killed_at_two_calls_of_each_kind(nursery: Nursery, tmp_path: Path, backend: str, store: str):
    stage = Stage(nursery, tmp_path, backend, store)
    points = of_each_kind(stage.calls())
    assert points
    assert [problem for at in points for problem in stage.kill(at)] == []
