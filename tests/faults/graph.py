"""A small graph with a known answer, whose tasks note that they ran, and what a driver of it does."""
from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from taskproc import Requires, RequiresList, TaskBase
from taskproc.run.request import RunRequest
from taskproc.run.run import run

LARGE = 100_000


def mark(task: TaskBase[Any]) -> None:
    """Note that a task's body ran: one line in a file of its own."""
    fd = os.open(os.environ["TP_FAULT_COUNT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{task!r}\n".encode())
    os.close(fd)
    time.sleep(float(os.environ.get("TP_FAULT_SLEEP", "0")))


class Leaf(TaskBase):
    """Gives a number; one talks, one writes a file, one gives much."""

    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> Any:
        mark(self)
        if self.n == 1:
            print("a leaf speaks")
        elif self.n == 2:
            (self.task_directory / "note.txt").write_text("2")
        elif self.n == 3:
            return os.urandom(LARGE) + b"3"
        return self.n


class Middle(TaskBase):
    parts: RequiresList[Any]

    def __init__(self, *ns: int):
        self.parts = [Leaf(n) for n in ns]

    def run_task(self) -> int:
        mark(self)
        return sum(part if isinstance(part, int) else part[-1] - ord("0") for part in self.parts)


class Top(TaskBase):
    left: Requires[int]
    right: Requires[int]

    def __init__(self) -> None:
        self.left, self.right = Middle(0, 1, 2), Middle(2, 3)

    def run_task(self) -> dict[str, int]:
        mark(self)
        return {"left": self.left, "right": self.right}


ANSWER = {"left": 3, "right": 5}


def tasks() -> list[TaskBase[Any]]:
    """Give every task of the graph."""
    top = Top()
    return [*(Leaf(n) for n in range(4)), Middle(0, 1, 2), Middle(2, 3), top]


def first_run(backend: str, root: TaskBase[Any] | None = None) -> Any:
    """Run the graph."""
    plugins = [str(Path(__file__).with_name("standin_plugin.py"))] if backend == "standin" else []
    options = {"query_interval": 0.1, "latency_wait": 5.0} if backend == "standin" else {}
    request = RunRequest(max_workers=2, backend=backend, plugins=plugins, backend_options=options)
    return run(root or Top(), request)[0]


def cleared_run(backend: str) -> Any:
    """Clear two tasks of a complete cache, and run the graph."""
    Leaf(2).clear_task()
    Leaf(1).clear_task()
    return first_run(backend)


def emptied_run(backend: str) -> Any:
    """Clear a class of a complete cache, and run the graph."""
    Middle.clear_all_tasks()
    return first_run(backend)


class Part(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        mark(self)
        if self.n % 5 == 0:
            print("every fifth speaks")
        time.sleep(0.01)
        return self.n


class Span(TaskBase):
    parts: RequiresList[int]

    def __init__(self, start: int):
        self.parts = [Part(n) for n in range(start, start + 10)]

    def run_task(self) -> int:
        mark(self)
        return sum(self.parts)


class Crowd(TaskBase):
    """Overlaps with its neighbours: `Crowd(0, 20)` and `Crowd(5, 25)` share most of their tasks."""

    spans: RequiresList[int]

    def __init__(self, start: int, end: int):
        self.spans = [Span(n) for n in range(start, end)]

    def run_task(self) -> int:
        mark(self)
        return sum(self.spans)


def crowd_run(backend: str, start: int, end: int) -> Any:
    """Run one of several overlapping graphs."""
    return first_run(backend, Crowd(start, end))


def crowd_answer(start: int, end: int) -> int:
    """Give what `Crowd(start, end)` must give."""
    return sum(sum(range(n, n + 10)) for n in range(start, end))


class Long(TaskBase):
    def run_task(self) -> str:
        mark(self)
        time.sleep(float(os.environ.get("TP_FAULT_LONG", "0")))
        return "long"


def long_run(backend: str) -> Any:
    """Run a task that takes as long as the environment says."""
    return first_run(backend, Long())


def soak(backend: str, runs: int) -> Any:
    """Run many small graphs in one process; give what it holds after the first few, and in the end."""
    held = []
    for number in range(1, runs + 1):
        assert first_run(backend, Span(20 * number)) == crowd_answer(20 * number, 20 * number + 1)
        assert first_run(backend, Span(20 * number)) == crowd_answer(20 * number, 20 * number + 1)
        if number in (min(10, runs // 2), runs):
            held.append(_belongings())
    return held


def _belongings() -> dict[str, int]:
    """Count what this process holds, once the threads of the last run have ended."""
    process = psutil.Process()
    deadline = time.monotonic() + 20
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()
    return {
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "children": len(process.children(recursive=True)),
        "megabytes": process.memory_info().rss >> 20,
    }


def other_run(backend: str) -> Any:
    """Run something else in the same cache."""
    return first_run(backend, Leaf(9))


WHAT = {
    "first": first_run,
    "cleared": cleared_run,
    "emptied": emptied_run,
    "other": other_run,
    "crowd": crowd_run,
    "long": long_run,
    "soak": soak,
}
