"""What runs again and gives what it gave before spares all that is computed from it."""
from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.support import ScriptRunner

STEPS = """
from taskproc import Requires, RequiresList, TaskBase

class Data(TaskBase):
    def run_task(self):
        note("Data")
        numbers = [1, 2, 3]
        return numbers

class Sign(TaskBase):
    data: Requires[list]
    def __init__(self):
        self.data = Data()
    def run_task(self):
        note("Sign")
        return sum(self.data) > 0

class Fit(TaskBase, channel="gpu"):
    sign: Requires[bool]
    def __init__(self, n):
        self.n, self.sign = n, Sign()
    def run_task(self):
        note("Fit")
        return self.n if self.sign else -self.n

class Main(TaskBase):
    fits: RequiresList[int]
    def __init__(self):
        self.fits = [Fit(n) for n in range(3)]
    def run_task(self):
        note("Main")
        return sum(self.fits)
"""


@pytest.fixture(params=["tree", "packed"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    made = Project(run_script, STEPS, TP_STORE=request.param)
    assert made.run() == ["Data", "Fit", "Fit", "Fit", "Main", "Sign"]
    return made


@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
def test_refactoring_runs_one_step_and_the_summary_says_how_many_are_spared(project: Project, backend: str):
    project.edit("return numbers", "return list(numbers)")
    out = project.command("steps.py", "--backend", backend).out
    assert project.ran == ["Data"]
    assert "1 task ran, 5 cached (5 of them spared: what they need came out as before)" in out
    assert "up to date" in project.command("steps.py").out


def test_other_data_run_as_far_as_they_make_a_difference(project: Project):
    project.edit("[1, 2, 3]", "[1, 2, 4]")
    assert project.run() == ["Data", "Sign"]
    assert project.do("print(Main().run_graph())") == "3"
    project.edit("[1, 2, 4]", "[-1]")
    assert project.run() == ["Data", "Fit", "Fit", "Fit", "Main", "Sign"]
    assert project.do("print(Main().run_graph())") == "-3"


def test_what_changed_itself_runs_though_its_upstreams_are_as_before(project: Project):
    project.edit("return numbers", "return list(numbers)")
    project.edit("return sum(self.fits)", "return 10 * sum(self.fits)")
    assert project.run() == ["Data", "Main"]
    assert project.do("print(Main().run_graph())") == "30"


def test_after_clearing_and_by_force_all_that_follows_runs(project: Project):
    project.do("Sign().clear_task()")
    out = project.command("steps.py").out
    assert project.ran == ["Fit", "Fit", "Fit", "Main", "Sign"]
    assert "spared" not in out
    assert project.run("--force", "-e", "Sign") == ["Sign"]
    project.do("Fit(0).run_graph(), Fit(1).run_graph(), Fit(2).run_graph()")
    assert project.run() == ["Main"]


def test_class_may_say_that_its_result_is_new_in_any_case(project: Project):
    project.edit("class Data(TaskBase):", "class Data(TaskBase, cutoff=False):")
    assert project.run() == []
    project.edit("return numbers", "return list(numbers)")
    assert project.run() == ["Data", "Fit", "Fit", "Fit", "Main", "Sign"]


def test_class_may_say_what_makes_its_results_the_same(project: Project):
    digest = "\n    def result_digest(self, value):\n        return repr(sorted(value))"
    project.edit("return numbers", f"return [1, 2, 3]{digest}")
    assert project.run() == ["Data", "Sign"]  # its former result was digested in another way
    project.edit("return [1, 2, 3]", "return [3, 1, 2]")
    assert project.run() == ["Data"]
    project.edit("return [3, 1, 2]", "return [3, 1, 1]")
    assert project.run() == ["Data", "Sign"]


def test_digest_that_is_none_fails_its_task_with_a_sentence(project: Project):
    project.edit("return numbers", "return numbers\n    def result_digest(self, value):\n        return 1.5")
    ended = project.command("steps.py", check=False)
    assert "Data.result_digest gave a float; it gives text, bytes or None" in ended.err


def test_dry_run_says_what_may_run_and_what_will(project: Project):
    project.edit("return numbers", "return list(numbers)")
    project.edit("return sum(self.fits)", "return 10 * sum(self.fits)")
    out = project.command("steps.py", "--dry-run").out
    assert "6 of 6 tasks would run, 4 of them only if what they need gives other results than before:" in out
    assert "Sign(): may run, its upstream Data() runs" in out
    assert "Main(): its source changed" in out


def test_files_that_others_may_read_are_a_part_of_what_is_the_same(project: Project):
    project.edit("return numbers", "(self.task_directory / 'n').write_text('1')\n        return numbers")
    project.run()
    project.edit("write_text('1')", "write_text('2')")
    assert "Sign" in project.run()
