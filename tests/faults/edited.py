"""A graph whose source is written anew for each version, and what a driver of it does."""
from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEXT = '''
import os
from taskproc import RequiresList, TaskBase

def mark(task):
    with open(os.environ["TP_FAULT_COUNT"], "a") as file:
        file.write(type(task).__name__ + str(task.n) + chr(10))
    if os.path.exists(os.environ["TP_FAULT_COUNT"] + ".fail-" + type(task).__name__ + str(task.n)):
        raise ValueError("told to fail")

class Low(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self) -> int:
        mark(self)
        return self.n + 10 * {Low}

class Mid(TaskBase):
    ups: RequiresList[int]
    def __init__(self, n: int):
        self.n = n
        self.ups = [Low(n), Low(n + 1)]
    def run_task(self) -> int:
        mark(self)
        if self.n:
            print("one of two speaks")
        return sum(self.ups) + 1000 * {Mid}

class Top(TaskBase):
    ups: RequiresList[int]
    def __init__(self, n: int):
        self.n = n
        self.ups = [Mid(0), Mid(1)]
    def run_task(self) -> int:
        mark(self)
        return sum(self.ups) + 100000 * {Top}
'''

UPSTREAMS = {
    "Low0": [], "Low1": [], "Low2": [], "Mid0": ["Low0", "Low1"], "Mid1": ["Low1", "Low2"], "Top0": ["Mid0", "Mid1"],
}  # fmt: skip


def write(path: Path, versions: Mapping[str, int]) -> None:
    """Write the module with these versions of its classes."""
    path.write_text(TEXT.format(**versions))


def value(task: str, versions: Mapping[str, int]) -> int:
    """Give a task's right result."""
    if task.startswith("Low"):
        return int(task[3:]) + 10 * versions["Low"]
    unit = 1000 if task.startswith("Mid") else 100000
    return sum(value(up, versions) for up in UPSTREAMS[task]) + unit * versions[task[:3]]


def _task(path: str, name: str) -> Any:
    # Bytecode goes by size and whole seconds, so that an edit within one would be missed, by Python itself.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.path.insert(0, os.path.dirname(path))
    return getattr(importlib.import_module("edited_tasks"), name[:3])(int(name[3:]))


def run(path: str, name: str, backend: str) -> Any:
    """Run a task's graph, going on after failures."""
    return _task(path, name).run_graph(backend=backend, on_error="continue", max_workers=2)


def clear(path: str, name: str) -> None:
    """Clear one task."""
    _task(path, name).clear_task()


def clear_all(path: str, name: str) -> None:
    """Clear a task's class."""
    type(_task(path, name)).clear_all_tasks()


WHAT = {"run": run, "clear": clear, "clear_all": clear_all}
