"""A task that ran a graph inside goes stale with it, however deep it is, and says why."""
from __future__ import annotations

import sys

import pytest

from tests.support import ScriptRunner

STEPS = """
import threading
from taskproc import Requires, TaskBase

RATE = 10

def note(name):
    with open("ran.txt", "a") as file:
        print(name, file=file)

class Leaf(TaskBase):
    def run_task(self):
        note("Leaf")
        return 1

class Inner(TaskBase):
    leaf: Requires[int]
    def __init__(self, n):
        self.n, self.leaf = n, Leaf()
    def run_task(self):
        note("Inner")
        return self.n * RATE * self.leaf

class Middle(TaskBase):
    def run_task(self):
        note("Middle")
        return Inner(3).run_graph()

class Outer(TaskBase):
    def run_task(self):
        note("Outer")
        return Middle().run_graph() + 1

class Main(TaskBase):
    outer: Requires[int]
    def __init__(self):
        self.outer = Outer()
    def run_task(self):
        note("Main")
        return self.outer
"""
ALL = ["Inner", "Leaf", "Main", "Middle", "Outer"]


class Project:
    """A script of steps that is edited between its runs."""

    def __init__(self, run_script: ScriptRunner, store: str, backend: str) -> None:
        self.text = STEPS
        self._run_script = run_script
        self._environment = {"TP_STORE": store, "TP_BACKEND": backend}
        self._ran = run_script.home / "ran.txt"

    def edit(self, before: str, after: str) -> None:
        assert self.text.count(before) == 1
        self.text = self.text.replace(before, after)

    def run(self) -> list[str]:
        """Run it all, and give the names of what ran, sorted."""
        self.taskproc("steps.py", "--no-progress")
        return sorted(self._ran.read_text().split())

    def taskproc(self, *arguments: str) -> str:
        self._ran.write_text("")
        self._run_script.write(self.text, "steps.py")
        return self._run_script.run([sys.executable, "-m", "taskproc", *arguments], env=self._environment).out

    def do(self, statement: str) -> str:
        command = [sys.executable, "-c", f"from steps import *; {statement}"]
        return self._run_script.run(command, env=self._environment).out.strip()


@pytest.fixture(params=["tree-process", "packed-process", "tree-thread", "tree-prefix"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    made = Project(run_script, *request.param.split("-"))
    assert made.run() == ALL
    assert made.run() == []
    return made


@pytest.mark.parametrize(
    ("before", "after", "ran"),
    [
        pytest.param("RATE = 10", "RATE = 11", ["Inner", "Main", "Middle", "Outer"], id="a constant"),
        pytest.param("return 1\n", "return 2\n", ALL, id="what it needs"),
        pytest.param("Inner(3)", "Inner(4)", ["Inner", "Main", "Middle", "Outer"], id="which graph it is"),
        pytest.param("return 1\n", "return 2 - 1\n", ["Leaf", "Middle", "Outer"], id="what comes out the same"),
    ],
)
def test_edit_inside_is_seen_outside(project: Project, before: str, after: str, ran: list[str]):
    project.edit(before, after)
    assert project.run() == ran
    answer = project.do("print(Main().run_graph())")
    anew = "Main().clear_task(); Outer().clear_task(); Middle().clear_task(); print(Main().run_graph())"
    assert project.do(anew) == answer
    assert project.run() == []


def test_result_that_was_cleared_inside_is_seen_and_told(project: Project):
    project.do("Leaf().clear_task()")
    why = project.taskproc("why", "steps.py", "Outer")
    assert "Middle(), whose graph it ran inside, would run: Inner(n=3), whose graph it ran inside, would run" in why
    assert "because of Leaf(): no result" in why
    assert project.run() == ["Inner", "Leaf", "Middle", "Outer"]  # and Main is spared


def test_result_that_somebody_else_computed_anew_is_seen(project: Project):
    project.do("Inner(3).clear_task(); Inner(3).run_graph()")
    assert "Inner(n=3), whose graph it ran inside, has a newer result" in project.taskproc("why", "steps.py", "Middle")
    assert project.run() == ["Middle", "Outer"]


def test_class_that_is_gone_is_a_reason_to_run(project: Project):
    project.edit("class Middle(TaskBase):", "class Other(TaskBase):")
    project.edit("Middle().run_graph()", "Other().run_graph()")
    assert project.run() == ["Middle", "Outer"]


def test_graph_run_in_a_thread_of_a_tasks_own_counts(run_script: ScriptRunner):
    project = Project(run_script, "tree", "process")
    inside = "found = []; own = threading.Thread(target=lambda: found.append(Inner(3).run_graph())); own.start()"
    project.edit("return Inner(3).run_graph()", f"{inside}; own.join(); return found[0]")
    assert project.run() == ALL
    project.edit("RATE = 10", "RATE = 11")
    assert project.run() == ["Inner", "Main", "Middle", "Outer"]


def test_class_that_is_defined_inside_is_a_part_of_the_source(run_script: ScriptRunner):
    project = Project(run_script, "tree", "process")
    local = (
        "\n        class Local(TaskBase):\n            def run_task(self):\n                return 5\n"
        "        return Local().run_graph()"
    )
    project.edit("return Inner(3).run_graph()", local)
    assert project.run() == ["Main", "Middle", "Outer"]
    assert project.run() == []
    project.edit("return 5", "return 6")
    assert project.run() == ["Main", "Middle", "Outer"]


def test_what_ran_inside_is_shown_below_what_it_ran_inside_of(project: Project):
    shown = project.taskproc("graph", "steps.py", "--format", "mermaid")
    for name in ("Leaf", "Inner", "Middle", "Outer", "Main"):
        assert name in shown
    project.edit("RATE = 10", "RATE = 11")
    why = project.taskproc("why", "steps.py")
    assert "2 of 2 tasks would run." in why
    assert "Inner(n=3)\n  its source changed: RATE\n" in why
    dry = project.taskproc("steps.py", "--dry-run")
    assert "inside of these, by what they ran the last time: 1 steps.Middle" in dry
    assert "inside of these, by what they ran the last time: 1 steps.Inner" in dry
