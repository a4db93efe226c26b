"""`taskproc status` of a driver in another process: while it runs, and after it was killed."""
from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.e2e.command import Command
from tests.support import wait_for

TASKS = """
    import pathlib, time
    from taskproc import TaskBase

    class Main(TaskBase):
        def run_task(self) -> None:
            print("it has begun", flush=True)
            time.sleep(60)
"""


def newest(taskproc: Command) -> dict[str, Any]:
    ended = taskproc("status", "tasks.py", "--json")
    assert ended.code == 0, ended.err
    runs = json.loads(ended.out)["runs"]
    return runs[0] if runs else {"tasks": [{"state": "", "attempts": []}]}


def test_status_sees_where_a_task_runs_and_that_its_driver_was_killed(taskproc: Command) -> None:
    file = taskproc.file(TASKS)
    driver = taskproc.start(file, "--no-progress")
    wait_for(lambda: newest(taskproc)["tasks"][0]["state"] == "running", "a task that runs")
    run = newest(taskproc)
    (attempt,) = run["tasks"][0]["attempts"]
    assert run["pid"] == driver.pid
    assert attempt["backend"] == "process"
    assert os.path.exists(f"/proc/{attempt['pid']}")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    text = taskproc("status", file).out
    assert "Main() was killed" in text
    assert "Main(): its driver died" in text


@pytest.mark.slow
def test_result_and_logs_by_the_task_file(taskproc: Command) -> None:
    file = taskproc.file(
        """
        from taskproc import TaskBase

        class Point:
            def __repr__(self) -> str:
                return "a point"

        class Small(TaskBase, store="packed"):
            def __init__(self, n: int) -> None:
                self.n = n
            def run_task(self) -> int:
                return self.n

        class Main(TaskBase):
            def run_task(self) -> Point:
                print("said", Small(3).run_graph())
                return Point()
        """
    )
    assert taskproc(file, "--no-progress").code == 0
    assert taskproc("result", "Small(n=3)", "--file", file).out == "3\n"
    assert taskproc("result", "Small(n=4)", "--file", file).code == 1
    assert taskproc("result", "Main", "--file", file).out == "a point\n"
    assert taskproc("result", "tasks.Main").out == "a point\n"
    assert taskproc("logs", "Main", "--file", file).out == "said 3\n"
