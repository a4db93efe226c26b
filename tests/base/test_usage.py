"""What a task's memory is told to be: its own, and neither its driver's nor that of the tasks before it."""
from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from taskproc import RequiresList, TaskBase
from taskproc.base import usage
from taskproc.store import files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a task's own peak")
MIB = 1 << 20


class Fill(TaskBase):
    def __init__(self, n: int, mib: int):
        self.n, self.mib = n, mib

    def run_task(self) -> int:
        filled = b"x" * (self.mib * MIB)
        time.sleep(0.01)
        return len(filled)


class All(TaskBase):
    parts: RequiresList[int]

    def __init__(self, sizes: list[int]):
        self.parts = [Fill(n, size) for n, size in enumerate(sizes)]

    def run_task(self) -> int:
        return sum(self.parts)


def used(task: TaskBase[int]) -> int:
    """Give what a task's result says of its memory, in MiB."""
    meta = files.peek(str(Path(task.task_stdout).parent / files.RESULT))
    assert meta is not None
    return meta.memory // 1024


@pytest.mark.usefixtures("cache")
def test_memory_is_the_tasks_own() -> None:
    of_the_driver = b"x" * (400 * MIB)
    All([1, 200, 1]).run_graph(backend="process", max_workers=1)
    del of_the_driver

    first, large, last = [used(Fill(n, size)) for n, size in enumerate([1, 200, 1])]
    assert 5 < first < 100
    assert 200 < large < 300
    assert 5 < last < 100


def test_without_linux_the_process_has_one_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_file(path: str, *_: object, **__: object) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(usage, "open", no_such_file, raising=False)
    usage.begin()
    assert usage.peak(1.0) > 5 * 1024
    usage.begin()
    assert usage.peak(1.0) > 5 * 1024


def test_a_very_short_task_has_the_figure_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_last", 1234)
    assert usage.peak(1e-5) == 1234
    assert usage.peak(1.0) > 5 * 1024
