"""What an edit of a helper makes run again, and how to keep results nevertheless."""
from __future__ import annotations

import os
import time

import pytest

from tests.e2e.command import Command
from tests.support import ScriptRunner

HELPERS = "FACTOR = 2\ndef scaled(x): return x * FACTOR\ndef unused(): return 1\n"
TASKS = """
    from taskproc import Requires, TaskBase
    from helpers import scaled

    class Load(TaskBase):
        def run_task(self):
            return scaled(10)

    class Other(TaskBase):
        def run_task(self):
            return 1

    class Main(TaskBase):
        data: Requires[int]
        other: Requires[int]
        def __init__(self):
            self.data = Load()
            self.other = Other()
        def run_task(self):
            print("got", self.data + self.other)
"""


@pytest.fixture
def lab(taskproc: Command) -> Command:
    """Give a task file with a helper module, which has run."""
    taskproc.file(HELPERS, "helpers.py")
    taskproc.file(TASKS)
    first = taskproc("tasks.py")
    assert "got 21" in first.out, first.err
    return taskproc


def test_change_of_a_helper_runs_who_uses_it_and_what_depends_on_that(lab: Command) -> None:
    lab.file(HELPERS.replace("FACTOR = 2", "FACTOR = 3"), "helpers.py")
    planned = lab("tasks.py", "--dry-run").out
    assert "Load(): its source changed" in planned
    assert "Other()" not in planned
    assert "got 31" in lab("tasks.py").out


def test_a_change_of_a_helper_within_the_second_of_its_bytecode(taskproc: Command) -> None:
    helpers = taskproc.file(HELPERS, "helpers.py")
    taskproc.file(TASKS)
    second = int(time.time()) - 10
    os.utime(helpers, (second + 0.1, second + 0.1))
    assert "got 21" in taskproc("tasks.py", PYTHONDONTWRITEBYTECODE="").out
    (compiled,) = (helpers.parent / "__pycache__").glob("helpers.*.pyc")
    os.utime(compiled, (second + 0.2, second + 0.2))

    taskproc.file(HELPERS.replace("FACTOR = 2", "FACTOR = 3"), "helpers.py")
    os.utime(helpers, (second + 0.3, second + 0.3))

    assert "got 31" in taskproc("tasks.py", PYTHONDONTWRITEBYTECODE="").out


@pytest.mark.parametrize(
    ("old", "new"),
    [("def unused(): return 1", "def unused(): return 2"), ("def scaled(x):", "def scaled(x):  # why not\n   ")],
    ids=["one that nobody uses", "a comment"],
)
def test_other_changes_of_the_module_run_nothing(lab: Command, old: str, new: str) -> None:
    lab.file(HELPERS.replace(old, new), "helpers.py")
    assert "Nothing would run" in lab("tasks.py", "--dry-run").out


def test_the_look_at_helpers_can_be_switched_off(lab: Command) -> None:
    lab.file(HELPERS.replace("FACTOR = 2", "FACTOR = 3"), "helpers.py")
    assert "Nothing would run" in lab("tasks.py", "--dry-run", TP_DETECT_HELPER_CHANGE="0").out
    assert "Load(): its source changed" in lab("tasks.py", "--dry-run").out
    lab.file("detect_helper_change = false\n", "taskproc.toml")
    assert "Nothing would run" in lab("tasks.py", "--dry-run").out


def test_accept_keeps_results_until_the_next_change(lab: Command) -> None:
    lab.file(HELPERS.replace("x * FACTOR", "FACTOR * x"), "helpers.py")

    refused = lab("accept", "tasks.py", stdin="n\n")
    assert refused.code == 1
    assert "tasks.Load: 1 result was made by another source." in refused.out
    accepted = lab("accept", "tasks.py", "-y")
    assert "Accepted the results of 1 task." in accepted.out, accepted.err

    assert "Nothing would run" in lab("tasks.py", "--dry-run").out
    assert "Nothing to accept" in lab("accept", "tasks.py", "-y").out
    lab.file(HELPERS.replace("x * FACTOR", "FACTOR * x * 5"), "helpers.py")
    assert "Load(): its source changed" in lab("tasks.py", "--dry-run").out


def test_accept_takes_the_classes_named_and_refuses_others(lab: Command) -> None:
    lab.file(TASKS.replace("scaled(10)", "scaled(5 + 5)").replace("return 1", "return 2 - 1"))
    assert "Accepted the results of 1 task." in lab("accept", "tasks.py", "Other", "-y").out
    planned = lab("tasks.py", "--dry-run").out
    assert "Load(): its source changed" in planned
    assert "Other()" not in planned
    wrong = lab("accept", "tasks.py", "Othr")
    assert wrong.code == 2
    assert "did you mean 'Other'" in wrong.err


def test_what_the_file_assigns_counts_for_every_command(lab: Command) -> None:
    assigned = "from taskproc import Context; Context.detect_helper_change = True"
    lab.file(TASKS.replace("from helpers", f"{assigned}\n    from helpers"))
    lab.file(HELPERS.replace("FACTOR = 2", "FACTOR = 3"), "helpers.py")
    off = {"TP_DETECT_HELPER_CHANGE": "0"}
    assert "Load(): its source changed" in lab("tasks.py", "--dry-run", **off).out
    assert "its source changed" in lab("why", "tasks.py", "Load", **off).out
    assert "Load()  stale: its source changed" in lab("graph", "tasks.py", "-f", "text", **off).out
    assert "Accepted the results of 1 task." in lab("accept", "tasks.py", "-y", **off).out


def test_a_script_and_its_neighbours_count_too(run_script: ScriptRunner) -> None:
    script = """
import sys
sys.path.insert(0, ".")
from taskproc import TaskBase

SIZE = 3

def helper():
    return SIZE

class Main(TaskBase):
    def run_task(self):
        return helper()

result, stats = Main().run_graph_with_stats()
print(result, len(stats["stats"]))
"""
    assert run_script(script).out == "3 1\n"
    assert run_script(script).out == "3 0\n"
    assert run_script(script.replace("SIZE = 3", "SIZE = 4")).out == "4 1\n"
