"""`taskproc why`, on a file that is edited."""
from __future__ import annotations

import pytest

from tests.e2e.command import Command

TASKS = """
    from taskproc import RequiresList, TaskBase

    class Load(TaskBase):
        def __init__(self, n: int) -> None:
            self.n = n
        def run_task(self) -> int:
            return self.n

    class Main(TaskBase):
        ups: RequiresList[int]
        def __init__(self, n: int = 3) -> None:
            self.ups = [Load(i) for i in range(n)]
        def run_task(self) -> int:
            return sum(self.ups)
"""


@pytest.mark.slow
def test_why_after_a_run_and_a_change(taskproc: Command) -> None:
    file = taskproc.file(TASKS)
    assert taskproc(file, "--no-progress").code == 0
    assert taskproc("why", file).out == "Nothing would run: Main(n=3) and all that it needs is cached.\n"
    taskproc.file(TASKS.replace("return self.n", "return self.n + 1"))
    lines = taskproc("why", file).out.splitlines()
    assert lines[:3] == [
        "4 of 4 tasks would run.", "3 tasks of tasks.Load, as Load(n=0)", "  its source changed: Load.run_task",
    ]  # fmt: skip
    assert "    -        return self.n" in lines
    assert "    +        return self.n + 1" in lines
    assert lines[-1] == "1 task of tasks.Main, because of Load(n=0)"
    one = taskproc("why", file, "Load(n=4)", "-s", "n=5").out
    assert one.startswith("Load(n=4) would run:\n  no result with these arguments; nearest is Load#2, with n=2\n")
    unknown = taskproc("why", file, "Laod")
    assert unknown.code == 2
    assert "needs no task of a class 'Laod'; did you mean 'Load'?" in unknown.err
