"""A small graph with a known answer, whose tasks note that they ran, and what a driver of it does."""
from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from taskproc import Requires, RequiresList, TaskBase
from taskproc.run import RunRequest, run

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


def other_run(backend: str) -> Any:
    """Run something else in the same cache."""
    return first_run(backend, Leaf(9))


WHAT = {"other": other_run, "first": first_run, "cleared": cleared_run, "emptied": emptied_run}
