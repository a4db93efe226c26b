"""A task is run with the results that its run was planned with, or the run looks again."""
from __future__ import annotations

from pathlib import Path

import pytest

from taskproc import Requires, TaskBase


class Up(TaskBase):
    def __init__(self, log: Path):
        self.log = log

    def run_task(self) -> int:
        with open(self.log, "a") as file:
            file.write("x")
        return len(self.log.read_text())


class ComputesItAgain(TaskBase):
    """Does what another driver may do at any time."""

    def __init__(self, log: Path):
        self.log = log

    def run_task(self) -> None:
        Up(self.log).clear_task()
        Up(self.log).run_graph(backend="thread")


class Down(TaskBase):
    up: Requires[int]
    before: Requires[None]

    def __init__(self, log: Path):
        self.up = Up(log)
        self.before = ComputesItAgain(log)

    def run_task(self) -> int:
        return self.up


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_an_upstream_that_another_run_computed_again_is_planned_with_anew(
    tmp_path: Path, either_store: str, backend: str
) -> None:
    log = tmp_path / "log"
    assert Up(log).run_graph(backend="thread") == 1
    assert Down(log).run_graph(backend=backend) == 2
    assert Down(log).run_graph_with_stats(backend="thread") == (2, {"stats": {}, "generations": []})
