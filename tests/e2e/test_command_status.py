"""`taskproc status` of a driver in another process: while it runs, and after it was killed."""
from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.e2e.command import Command
from tests.fakes.lsf.harness import FakeLsf, fake_lsf
from tests.support import wait_for

__all__ = ["fake_lsf"]

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
    return runs[0] if runs else {"tasks": []}


def test_status_sees_where_a_task_runs_and_that_its_driver_was_killed(taskproc: Command) -> None:
    file = taskproc.file(TASKS)
    driver = taskproc.start(file, "--no-progress")
    try:
        wait_for(lambda: [task["state"] for task in newest(taskproc)["tasks"]] == ["running"], "a task that runs", 40)
        run = newest(taskproc)
        (attempt,) = run["tasks"][0]["attempts"]
        assert run["pid"] == driver.pid
        assert attempt["backend"] == "process"
        assert os.path.exists(f"/proc/{attempt['pid']}")
    finally:
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
    assert taskproc("result", "Main", "--file", file).out == "a point\n"
    assert taskproc("logs", "Main", "--file", file).out == "said 3\n"


@pytest.mark.slow
def test_status_knows_the_jobs_of_a_cluster_also_when_their_driver_was_killed(
    taskproc: Command, fake_lsf: FakeLsf
) -> None:
    taskproc.file(
        """
        import pathlib, time
        from taskproc import RequiresList, TaskBase

        class Step(TaskBase):
            def __init__(self, n: int) -> None:
                self.n = n
            def run_task(self) -> None:
                time.sleep(60)

        class Main(TaskBase):
            ups: RequiresList[None]
            def __init__(self) -> None:
                self.ups = [Step(n) for n in range(6)]
        """
    )
    driver = taskproc.start("tasks.py", "-b", "lsf", "--no-progress", **fake_lsf.env)
    try:
        wait_for(lambda: newest(taskproc).get("counts") == {"running": 4, "queued": 2, "waiting": 1}, "jobs", 40)
        last = [task["attempts"][-1] for task in newest(taskproc)["tasks"][:6]]
        assert sorted(attempt["job"] for attempt in last) == [f"1[{element}]" for element in range(1, 7)]
        assert {attempt["host"] for attempt in last if attempt["state"] == "running"} == {"fakehost01"}
        wait_for(lambda: all(task["reason"] for task in newest(taskproc)["tasks"][4:6]), "the scheduler's reason")
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
    run = newest(taskproc)
    assert run["status"] == "died"
    assert run["counts"] == {"running": 4, "queued": 2, "waiting": 1}
    assert run["tasks"][0]["reason"] == "left by its driver; the next run follows it"
