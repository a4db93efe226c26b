"""A task that ran a graph inside goes stale with it, however deep it is, and says why."""
from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.support import ScriptRunner

STEPS = """
import threading
from taskproc import Requires, TaskBase

RATE = 10

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


@pytest.fixture(params=["tree-process", "packed-process", "tree-thread", "tree-prefix"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    store, backend = request.param.split("-")
    made = Project(run_script, STEPS, TP_STORE=store, TP_BACKEND=backend)
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
    why = project.command("why", "steps.py", "Outer").out
    assert "Middle(), whose graph it ran inside, would run: Inner(n=3), whose graph it ran inside, would run" in why
    assert "because of Leaf(): no result" in why
    assert project.run() == ["Inner", "Leaf", "Middle", "Outer"]  # and Main is spared


def test_result_that_somebody_else_computed_anew_is_seen(project: Project):
    project.do("Inner(3).clear_task(); Inner(3).run_graph()")
    why = project.command("why", "steps.py", "Middle").out
    assert "Inner(n=3), whose graph it ran inside, has a newer result" in why
    assert project.run() == ["Middle", "Outer"]


def test_class_that_is_gone_is_a_reason_to_run(project: Project):
    project.edit("class Middle(TaskBase):", "class Other(TaskBase):")
    project.edit("Middle().run_graph()", "Other().run_graph()")
    assert project.run() == ["Middle", "Outer"]


def test_graph_run_in_a_thread_of_a_tasks_own_counts(run_script: ScriptRunner):
    project = Project(run_script, STEPS)
    inside = "found = []; own = threading.Thread(target=lambda: found.append(Inner(3).run_graph())); own.start()"
    project.edit("return Inner(3).run_graph()", f"{inside}; own.join(); return found[0]")
    assert project.run() == ALL
    project.edit("RATE = 10", "RATE = 11")
    assert project.run() == ["Inner", "Main", "Middle", "Outer"]


def test_class_that_is_defined_inside_is_a_part_of_the_source(run_script: ScriptRunner):
    project = Project(run_script, STEPS)
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
    shown = project.command("graph", "steps.py", "--format", "mermaid").out
    for name in ("Leaf", "Inner", "Middle", "Outer", "Main"):
        assert name in shown
    project.edit("RATE = 10", "RATE = 11")
    why = project.command("why", "steps.py").out
    assert "2 of 2 tasks would run." in why
    assert "Inner(n=3)\n  its source changed: RATE\n" in why
    dry = project.command("steps.py", "--dry-run").out
    assert "inside of these, by what they ran the last time: 1 steps.Middle" in dry
    assert "inside of these, by what they ran the last time: 1 steps.Inner" in dry
