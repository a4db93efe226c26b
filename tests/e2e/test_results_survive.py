"""What keeps results: a failure after them, an argument that makes no difference; and what does not: age, a version."""
from __future__ import annotations

import textwrap

import pytest

from tests.e2e.project import Project
from tests.support import ScriptRunner

STEPS = """
import os
from taskproc import Requires, TaskBase

class Fit(TaskBase):
    def __init__(self, n=1):
        self.n = n
    def run_task(self):
        note("Fit")
        print("fit", self.n)
        (self.task_directory / "fit.txt").write_text(str(self.n))
        return self.n

class Main(TaskBase):
    fit: Requires[int]
    def __init__(self):
        self.fit = Fit()
    def run_task(self):
        note("Main")
        return self.fit
"""
SHOW = "f = Fit(); print(f.get_task_result(), (f.task_directory / 'fit.txt').read_text(), f.task_stdout.read_text())"


@pytest.fixture(params=["tree", "packed"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    made = Project(run_script, STEPS, TP_STORE=request.param)
    assert made.run() == ["Fit", "Main"]
    return made


@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
def test_failed_attempt_leaves_the_earlier_result_alone(project: Project, backend: str):
    good = project.text
    project.edit("return self.n\n", "raise ValueError('no')\n")
    assert project.run("--backend", backend, check=False) == ["Fit"]
    failed = project.command("why", "steps.py", "Fit").out
    assert "ValueError: no" in failed
    project.text = good
    out = project.command("steps.py", "--backend", backend).out
    assert project.ran == []
    assert "nothing ran, 2 tasks cached" in out
    assert project.do(SHOW) == "1 1 fit 1"
    assert project.run() == []


def test_earlier_result_goes_when_another_takes_its_place(project: Project, run_script: ScriptRunner):
    project.edit("return self.n\n", "raise ValueError('no')\n")
    project.run(check=False)
    assert len(list(run_script.cache.glob("**/earlier"))) == 1
    project.edit("raise ValueError('no')\n", "return 2 * self.n\n")
    assert project.run() == ["Fit", "Main"]
    assert project.do(SHOW) == "2 1 fit 1"
    assert list(run_script.cache.glob("**/earlier*")) == []


def test_small_packed_result_outlives_a_failure_and_hides_no_later_one(run_script: ScriptRunner):
    project = Project(run_script, STEPS, TP_STORE="packed")
    project.edit('print("fit", self.n)', "pass")
    project.edit('(self.task_directory / "fit.txt").write_text(str(self.n))', "pass")
    project.run()
    good = project.text
    project.edit("return self.n\n", "raise ValueError('no')\n")
    project.run(check=False)
    project.text = good
    assert project.run() == []
    project.edit("return self.n\n", "print('now in a directory'); return self.n + 1\n")
    assert project.run() == ["Fit", "Main"]
    assert project.do("print(Main().run_graph())") == "2"
    assert project.run() == []


def test_clearing_takes_what_was_set_aside_too(project: Project):
    good = project.text
    project.edit("return self.n\n", "raise ValueError('no')\n")
    project.run(check=False)
    project.text = good
    project.do("Fit().clear_task()")
    assert project.run() == ["Fit", "Main"]


def test_by_force_nothing_is_put_back(project: Project):
    good = project.text
    project.edit("return self.n\n", "raise ValueError('no')\n")
    project.run(check=False)
    project.text = good
    assert project.run("--force", "-e", "Fit") == ["Fit"]


def test_dry_run_and_why_tell_of_what_is_put_back(project: Project):
    good = project.text
    project.edit("return self.n\n", "raise ValueError('no')\n")
    project.run(check=False)
    project.text = good
    assert "its earlier result, which is put back" in project.command("steps.py", "--dry-run").out
    assert "Fit(n=1) would not run:\n  it has its earlier result" in project.command("why", "steps.py", "Fit").out
    assert project.run() == []


def test_argument_that_is_ignored_makes_no_other_task(project: Project):
    project.edit("class Fit(TaskBase):", "class Fit(TaskBase, ignore='jobs'):")
    project.edit("def __init__(self, n=1):", "def __init__(self, n=1, jobs=1):")
    project.run()
    assert project.run() == []
    assert project.do("print(Fit(1, jobs=8).run_graph(), Fit(1, jobs=8).task_args['jobs'])") == "1 8"
    assert project.ran == []
    assert project.do("print(Fit(2, jobs=8).run_graph(), Fit(2).run_graph())").split() == ["2", "2"]
    assert project.ran == ["Fit"]


def test_new_version_makes_all_results_stale(project: Project):
    before = "class Fit(TaskBase):"
    for keyword in ("version='2'", "version='3'", "version=4"):
        after = f"class Fit(TaskBase, {keyword}):"
        project.edit(before, after)
        assert "Fit" in project.run()
        assert project.run() == []
        before = after


def test_result_that_is_too_old_runs_again(project: Project):
    project.edit("class Fit(TaskBase):", "class Fit(TaskBase, expires='1 h'):")
    assert project.run() == []
    project.edit("'1 h'", "0.01")
    assert "its result has expired: it was made on" in project.command("why", "steps.py", "Fit").out
    assert "Fit" in project.run()


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("ignore='job'", "ignore='job' is no argument of __init__, which has n."),
        ("version=1.5", "version=1.5 is neither text nor a whole number."),
        ("expires='7 days'", "expires='7 days' is no span of time above 0, such as '90s', '30min', '12h', '7d'"),
        ("expires=0", "expires=0 is no span of time"),
        ("expires=True", "expires=True is no span of time"),
    ],
)
def test_keyword_that_makes_no_sense_is_refused(run_script: ScriptRunner, keyword: str, message: str):
    project = Project(run_script, STEPS)
    project.edit("class Fit(TaskBase):", f"class Fit(TaskBase, {keyword}):")
    assert message in project.command("steps.py", check=False).err


def test_argument_with_a_default_keeps_results_once_the_source_is_accepted(project: Project):
    former = project.text
    project.edit("def __init__(self, n=1):", "def __init__(self, n=1, jobs=1):")
    why = project.command("why", "steps.py", "Fit").out
    assert "its source changed: Fit.__init__" in why
    assert "+    def __init__(self, n=1, jobs=1):" in why
    assert "Accepted the results of" in project.command("accept", "steps.py", "-y").out
    assert project.run() == []
    assert project.do(SHOW) == "1 1 fit 1"
    assert project.do("Fit(1, jobs=2).run_graph()") == ""
    assert project.ran == ["Fit"]
    project.text = former  # and back
    assert project.run() == []
    assert project.do(SHOW) == "1 1 fit 1"


def test_argument_that_is_ignored_from_now_on_keeps_results(project: Project):
    project.edit("def __init__(self, n=1):", "def __init__(self, n=1, jobs=1):")
    project.run()
    project.edit("class Fit(TaskBase):", "class Fit(TaskBase, ignore=('jobs',)):")
    assert project.run() == []
    project.do("Fit(jobs=3).run_graph()")
    assert project.ran == []


def test_renamed_class_keeps_its_results(project: Project):
    project.text = project.text.replace("Fit", "Train").replace('note("Train")', 'note("Fit")')
    wrong = project.command("move", "steps.Fitt", "steps.Train", check=False).err
    assert "no results of a class 'steps.Fitt'; did you mean" in wrong
    assert "count for steps.Train" in project.command("move", "steps.Fit", "steps.Train").out
    assert "-class Fit(TaskBase):" in project.command("why", "steps.py", "Train").out
    project.command("accept", "steps.py", "-y")
    assert project.run() == []
    assert project.do(SHOW.replace("Fit", "Train")) == "1 1 fit 1"
    assert project.run() == []


def test_results_of_what_takes_a_renamed_task_as_its_argument_are_kept(run_script: ScriptRunner):
    text = """
    from taskproc import Requires, TaskBase
    class Load(TaskBase):
        def __init__(self, n=1):
            self.n = n
        def run_task(self):
            note("Load")
            return self.n
    class Main(TaskBase):
        up: Requires[int]
        def __init__(self, up=Load(2)):
            self.up = up
        def run_task(self):
            note("Main")
            return self.up
    """
    project = Project(run_script, textwrap.dedent(text))
    assert project.run() == ["Load", "Main"]
    project.edit("def __init__(self, n=1):", "def __init__(self, n=1, more=None):")
    project.command("accept", "steps.py", "-y")
    assert project.run() == []

