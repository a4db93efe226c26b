"""A task may return tasks: they are added to the graph, and whoever requires it gets their results."""
from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support import ScriptRunner, wait_for

STEPS = """
import os, time
from taskproc import Const, Requires, RequiresList, TaskBase

def note(name):
    with open("ran.txt", "a") as file:
        print(name, file=file)

class Lines(TaskBase):
    def run_task(self):
        note("Lines")
        return open("lines.txt").read().split()

class Scale(TaskBase):
    def run_task(self):
        note("Scale")
        return 10

class Line(TaskBase, channel="net"):
    scale: Requires[int]
    def __init__(self, text, times=1):
        self.text, self.times, self.scale = text, times, Scale()
    def run_task(self):
        note(self.text)
        if os.path.exists("slow"):
            time.sleep(0.2)
        if self.text == "bad":
            raise ValueError("no such line")
        return self.times * self.scale * len(self.text)

class Split(TaskBase, expands=True):
    lines: Requires[list]
    def __init__(self):
        self.lines = Lines()
    def run_task(self):
        note("Split")
        print("a task that speaks has a directory in either store")
        return {"all": [Line(text) for text in self.lines], "first": Line(self.lines[0])}

class Sum(TaskBase):
    parts: Requires[dict]
    def __init__(self):
        self.parts = Split()
    def run_task(self):
        note("Sum")
        assert self.parts["first"] == self.parts["all"][0]
        return sum(self.parts["all"])

class Main(TaskBase):
    total: Requires[int]
    def __init__(self):
        self.total = Sum()
    def run_task(self):
        note("Main")
        return self.total
"""

RETURNED = '{"all": [Line(text) for text in self.lines], "first": Line(self.lines[0])}'


class Project:
    """A script of steps that is edited between its runs, and the file that it reads."""

    def __init__(self, run_script: ScriptRunner, store: str) -> None:
        self.text = STEPS
        self.home = run_script.home
        self.script = run_script
        self.environment = {"TP_STORE": store}
        self.ran = run_script.home / "ran.txt"
        self.write("a bb ccc")

    def write(self, lines: str) -> None:
        """Write the file of lines, which the task that reads it is told of by hand."""
        (self.home / "lines.txt").write_text(lines)

    def edit(self, before: str, after: str) -> None:
        assert self.text.count(before) == 1
        self.text = self.text.replace(before, after)

    def command(self, *options: str) -> tuple[str, list[str]]:
        """Give a command's output, and the names of what ran, sorted."""
        return self._run([sys.executable, "-m", "taskproc", "steps.py", "--no-progress", *options])

    def fail(self, *options: str) -> str:
        """Give what a command says that fails."""
        self.script.write(self.text, "steps.py")
        command = [sys.executable, "-m", "taskproc", "steps.py", "--no-progress", *options]
        ended = self.script.run(command, env=self.environment, check=False)
        assert ended.code == 1
        return ended.err

    def do(self, statement: str) -> tuple[str, list[str]]:
        """Do something with the steps, in a process of its own."""
        return self._run([sys.executable, "-c", f"from steps import *; {statement}"])

    def look(self, *command: str) -> str:
        """Give the output of another command."""
        self.script.write(self.text, "steps.py")
        return self.script.run([sys.executable, "-m", "taskproc", *command], env=self.environment).out

    def _run(self, command: Iterable[str]) -> tuple[str, list[str]]:
        self.script.write(self.text, "steps.py")
        self.ran.write_text("")
        ended = self.script.run([*command], env=self.environment)
        return ended.out, sorted(self.ran.read_text().split())


@pytest.fixture(params=["tree", "packed"])
def new(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    return Project(run_script, request.param)


@pytest.fixture
def project(new: Project) -> Project:
    assert new.command()[1] == ["Lines", "Main", "Scale", "Split", "Sum", "a", "bb", "ccc"]
    return new


@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
def test_results_come_in_the_shape_in_which_tasks_were_returned(new: Project, backend: str):
    out, ran = new.command("--backend", backend)
    assert ran == ["Lines", "Main", "Scale", "Split", "Sum", "a", "bb", "ccc"]
    assert "8 tasks ran, 0 cached" in out
    assert new.do("print(Main().run_graph(), Split().run_graph())")[0] == "60 {'all': [10, 20, 30], 'first': 10}\n"
    assert new.do("print(Split().get_task_result()['all'])") == ("[10, 20, 30]\n", [])
    assert "nothing ran, 8 tasks cached" in new.command("--backend", backend)[0]


def test_next_plan_knows_what_was_returned(project: Project):
    project.do("Line('bb').clear_task()")
    assert "2 tasks of " not in project.look("why", "steps.py")
    assert "Line(text='bb', times=1)" in project.look("why", "steps.py")
    out, _ = project.command("--dry-run")
    assert "3 of 8 tasks would run" in out
    assert "will be known" not in out
    assert project.command()[1] == ["Main", "Sum", "bb"]


def test_what_was_returned_anew_is_compared_task_by_task(project: Project):
    project.write("a bb dddd")
    project.do("Lines().clear_task()")
    assert project.command()[1] == ["Lines", "Main", "Split", "Sum", "dddd"]
    assert project.do("print(Main().run_graph())") == ("70\n", [])


def test_changed_source_that_returns_the_same_tasks_spares_what_is_below(project: Project):
    project.edit('note("Split")', 'note("Split again")')
    out, ran = project.command()
    assert ran == ["Split", "again"]
    assert "1 task ran, 7 cached (2 of them spared" in out


def test_results_that_come_out_as_before_spare_what_is_below(project: Project):
    project.edit("return self.times * self.scale", "return self.scale * self.times")
    assert project.command()[1] == ["a", "bb", "ccc"]
    project.edit("return 10", "return 5 + 5")
    assert project.command()[1] == ["Scale"]


def test_another_constructor_of_the_tasks_has_them_returned_anew(project: Project):
    project.edit("times=1", "times=2")
    assert project.command()[1] == ["Main", "Split", "Sum", "a", "bb", "ccc"]
    assert project.do("print(Main().run_graph())") == ("120\n", [])


def test_class_that_begins_or_ceases_to_expand_is_run_again(project: Project):
    project.edit("class Split(TaskBase, expands=True):", "class Split(TaskBase):")
    project.edit(RETURNED, "{'all': [1], 'first': 1}")
    assert project.command("-D")[1] == ["Main", "Split", "Sum"]
    assert project.do("print(Main().run_graph())")[0] == "1\n"
    project.text = STEPS
    assert project.command("-D")[1] == ["Main", "Split", "Sum"]
    assert project.do("print(Main().run_graph())")[0] == "60\n"


def test_class_of_what_was_returned_that_is_gone_has_it_returned_anew(project: Project):
    project.edit("class Line(TaskBase, channel=\"net\"):", "class Row(TaskBase, channel=\"net\"):")
    project.edit(RETURNED, RETURNED.replace("Line", "Row"))
    assert project.command("-D")[1] == ["Split", "Sum", "a", "bb", "ccc"]


def test_rate_limits_and_backends_may_be_for_what_is_to_come(new: Project):
    (new.home / "slow").touch()
    assert new.command("--limit", "Line=1", "--limit", "net=1", "-b", "Line=thread")[1][-3:] == ["a", "bb", "ccc"]


def test_failure_of_what_was_returned_is_told_and_the_rest_is_kept(new: Project):
    new.write("a bad ccc")
    assert "ValueError: no such line" in new.fail("--keep-going")
    assert sorted(new.ran.read_text().split()) == ["Lines", "Scale", "Split", "a", "bad", "ccc"]
    assert "needs Line(text='bad', times=1), which failed" in new.look("status", "steps.py")
    new.edit("raise ValueError", "return 7 or ValueError")
    assert new.command()[1] == ["Main", "Sum", "a", "bad", "ccc"]


def test_dry_run_says_that_more_will_be_known(new: Project):
    out, ran = new.command("--dry-run")
    assert "Which tasks follow will be known when Split() has run." in out
    assert ran == []


def test_status_graph_and_report_know_what_was_returned(project: Project):
    (run,) = json.loads(project.look("status", "steps.py", "--json"))["runs"]
    assert run["classes"]["steps.Line"] == {"done": 3}
    assert run["planned"]["steps.Line"] == 3
    labels = [task["label"] for task in run["tasks"]]
    assert [label[:4] for label in labels[-5:]] == ["Line", "Line", "Line", "Sum(", "Main"]
    assert "├─ Line(text='bb', times=1)  cached" in project.look("graph", "steps.py", "-f", "text")
    assert "Line" in project.look("report", "steps.py", "--output", "-")


def test_garbage_is_not_what_was_returned(project: Project):
    assert "Nothing is to be removed." in project.look("gc", "steps.py", "--dry-run")
    project.edit('note("Split")', 'note("Split again")')
    assert "Nothing is to be removed." in project.look("gc", "steps.py", "--dry-run")


def test_kill_of_the_driver_loses_nothing_that_was_done(new: Project):
    new.write(" ".join("abcdefgh"))
    (new.home / "slow").touch()
    new.script.write(new.text, "steps.py")
    command = [sys.executable, "-m", "taskproc", "steps.py", "--no-progress", "--limit", "Line=1"]
    driver = new.script.start(command, env=new.environment)
    wait_for(lambda: new.ran.exists() and "c" in new.ran.read_text().split(), "third line")
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    before = new.ran.read_text().split()
    assert {"Lines", "Split", "a"} <= set(before)
    (new.home / "slow").unlink()
    _, ran = new.command()
    assert set(ran).isdisjoint(before[: before.index("c") - 1])
    assert new.do("print(Main().run_graph())") == ("80\n", [])


def test_two_drivers_run_nothing_twice(new: Project):
    new.write(" ".join("abcdefgh"))
    (new.home / "slow").touch()
    new.script.write(new.text, "steps.py")
    command = [sys.executable, "-m", "taskproc", "steps.py", "--no-progress"]
    drivers = [new.script.start(command, env=new.environment) for _ in range(2)]
    for driver in drivers:
        _, err = driver.communicate(timeout=120)
        assert driver.returncode == 0, err
    assert sorted(new.ran.read_text().split()) == sorted(["Lines", "Scale", "Split", "Sum", "Main", *"abcdefgh"])


def test_nested_expansions_and_chains_of_them(run_script: ScriptRunner):
    done = run_script("""
        from taskproc import Requires, TaskBase
        class Leaf(TaskBase):
            def __init__(self, n):
                self.n = n
            def run_task(self):
                return self.n
        class Tree(TaskBase, expands=True):
            def __init__(self, depth):
                self.depth = depth
            def run_task(self):
                return [Tree(self.depth - 1), Leaf(self.depth)] if self.depth else Leaf(0)
        class Until(TaskBase, expands=True):
            def __init__(self, n, end):
                self.n, self.end = n, end
            def run_task(self):
                return Until(self.n + 1, self.end) if self.n < self.end else Leaf(self.n)
        class Both(TaskBase):
            tree: Requires[list]
            last: Requires[int]
            def __init__(self):
                self.tree, self.last = Tree(3), Until(0, 200)
            def run_task(self):
                return self.tree, self.last
        if __name__ == "__main__":
            for _ in range(2):
                result, stats = Both().run_graph_with_stats()
                print(result, sum(stats["stats"].values()))
    """)
    assert done.out.splitlines() == ["([[[0, 1], 2], 3], 200) 211", "([[[0, 1], 2], 3], 200) 0"]


REFUSED = {
    "none": ("None", "Wrong.run_task() returned None (of type NoneType), but its class says expands=True"),
    "a value": ("[One(1), 5]", "Wrong.run_task() returned 5 (of type int) at [1], but its class says expands=True"),
    "a class": ("{'k': One}", "at ['k'], but its class says expands=True: it returns tasks; call it to make a task"),
    "a set": ("{One(1)}", "a set has no order, so put the tasks into a list"),
    "itself": ("self", "Wrong() returned, which run_task did not construct"),
    "what waits for it": ("[Waits()]", "a task needs itself: Wrong() -> Waits() -> Wrong()"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_other_things_are_refused_with_a_sentence(what: str, run_script: ScriptRunner):
    returned, said = REFUSED[what]
    done = run_script(f"""
        from taskproc import FailedTaskError, Requires, TaskBase
        class One(TaskBase):
            def __init__(self, n):
                self.n = n
            def run_task(self):
                return self.n
        class Wrong(TaskBase, expands=True):
            def run_task(self):
                return {returned}
        class Waits(TaskBase):
            wrong: Requires[list]
            def __init__(self):
                self.wrong = Wrong()
            def run_task(self):
                return 1
        try:
            Waits().run_graph()
        except FailedTaskError as error:
            print(error.exception)
    """)
    assert said.replace("Wrong() returned,", "Wrong.run_task() returned Wrong(),") in done.out


def test_circle_that_was_returned_before_is_told_again_until_it_is_none(run_script: ScriptRunner):
    done = run_script("""
        import os
        from taskproc import Const, CycleError, FailedTaskError, Requires, TaskBase
        class Wrong(TaskBase, expands=True):
            def run_task(self):
                return [Const(5)] if os.path.exists("mended") else [Waits()]
        class Waits(TaskBase):
            wrong: Requires[list]
            def __init__(self):
                self.wrong = Wrong()
            def run_task(self):
                return self.wrong
        for _ in range(2):
            try:
                Waits().run_graph()
            except FailedTaskError as error:
                print(type(error.exception).__name__)
        open("mended", "w").close()
        print(Waits().run_graph())
    """)
    assert done.out.split() == ["CycleError", "CycleError", "[5]"]


def test_damaged_result_of_what_was_returned_is_computed_again(project: Project):
    project.do("Line('bb').clear_task(); Line('bb').run_graph()")
    results = sorted(Path(project.script.cache).glob("taskproc/steps.Line/results/*/result.pkl.gz"))
    if not results:
        return  # it is packed
    results[1].write_bytes(results[1].read_bytes()[:-4] + b"1234")
    assert project.do("Main().clear_task(); Sum().clear_task(); print(Main().run_graph())")[0] == "60\n"
    results[1].write_bytes(results[1].read_bytes()[:-4] + b"1234")
    assert project.do("print(Split().run_graph()['all'])")[0] == "[10, 20, 30]\n"


VALUES = {
    "values.py": """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Pair:
            a: int
            def double(self):
                return 2 * self.a
        @dataclass(frozen=True)
        class Size:
            n: int
        """,
    "steps.py": """
        from taskproc import Requires, RequiresList, TaskBase
        from values import Pair, Size
        class Make(TaskBase):
            def __init__(self, size):
                self.size = size
            def run_task(self):
                return Pair(self.size.n)
        class Split(TaskBase, expands=True):
            def __init__(self, number):
                self.number = number
            def run_task(self):
                return [Make(Size(n)) for n in range(self.number)]
        class Fixed(TaskBase):
            def run_task(self):
                return []
        class Sum(TaskBase):
            pairs: Requires[list]
            def __init__(self, number):
                self.pairs = Split(number) if number else Fixed()
            def run_task(self):
                return sum(pair.double() for pair in self.pairs)
        class Main(TaskBase):
            sums: RequiresList[int]
            def __init__(self):
                self.sums = [Sum(0), Sum(2), Sum(3)]
            def run_task(self):
                return sum(self.sums)
        """,
}


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_classes_in_the_results_of_what_was_returned_are_a_part_of_the_source(run_script: ScriptRunner, store: str):
    for name, text in VALUES.items():
        run_script.write(text, name)

    def run() -> str:
        code = "from steps import Main; v, s = Main().run_graph_with_stats(); print(v, sorted(s['stats'].items()))"
        return run_script.run([sys.executable, "-c", code], env={"TP_STORE": store}).out.strip()

    assert run().startswith("8 [")
    assert run() == "8 []"
    run_script.write(VALUES["values.py"].replace("2 * self.a", "3 * self.a"), "values.py")
    assert run().startswith("12 [")
    assert run() == "12 []"


def test_a_notebooks_classes_may_expand(run_script: ScriptRunner):
    pytest.importorskip("IPython")
    run_script.cells([
        "from taskproc import TaskBase, Requires\n"
        "class One(TaskBase):\n    def __init__(self, n): self.n = n\n    def run_task(self): return self.n\n"
        "class Split(TaskBase, expands=True):\n    def run_task(self): return [One(1), One(2)]",
        "class Sum(TaskBase):\n    parts: Requires[list]\n    def __init__(self): self.parts = Split()\n"
        "    def run_task(self): return sum(self.parts)",
        "assert Sum().run_graph() == 3",
        "class One(TaskBase):\n    def __init__(self, n): self.n = n\n    def run_task(self): return 10 * self.n",
        "assert Sum().run_graph() == 30",
        "assert Split().run_graph() == [10, 20]",
    ])  # fmt: skip


def test_derived_class_expands_as_far_as_it_inherits_what_returns_tasks(run_script: ScriptRunner):
    done = run_script("""
        from taskproc import TaskBase
        class One(TaskBase):
            def run_task(self):
                return 1
        class Split(TaskBase, expands=True):
            def run_task(self):
                return [One(), One()]
        class Same(Split):
            pass
        class Other(Split):
            def run_task(self):
                return "other"
        print(Same().run_graph(), Other().run_graph())
    """)
    assert done.out == "[1, 1] other\n"


def test_expanding_class_cannot_say_what_makes_its_result_the_same(run_script: ScriptRunner):
    ended = run_script(
        """
        from taskproc import TaskBase
        class Split(TaskBase, expands=True):
            def run_task(self):
                return []
            def result_digest(self, value):
                return ""
        """,
        check=False,
    )
    assert "Split: it says expands=True and defines result_digest" in ended.err


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_expanding_tasks_stand_wherever_a_task_may(run_script: ScriptRunner, store: str):
    done = run_script("""
        import os
        from taskproc import Const, Requires, RequiresDict, RequiresList, TaskBase
        class Piece(TaskBase):
            def __init__(self, n):
                self.n = n
            def run_task(self):
                return 10 * self.n
        class Parts(TaskBase):
            def run_task(self):
                return {"a": [7, 8]}
        class Split(TaskBase, expands=True, retries=1):
            def __init__(self, k):
                self.k = k
            def run_task(self):
                if not os.path.exists("tried"):
                    open("tried", "w").close()
                    raise ValueError("the first time")
                return {"all": (Piece(n) for n in range(self.k)), "part": Parts()["a"], "const": Const(3)}
        class Single(TaskBase, expands=True):
            def run_task(self):
                return Parts()["a"]
        class Holds(TaskBase):
            one: Requires[int]
            many: RequiresList
            named: RequiresDict
            given: Requires[dict]
            def __init__(self, given):
                self.one, self.given = Split(2)["all"][1], given
                self.many = [Split(3)["all"], Single(), Const(1)]
                self.named = {"x": Split(1)["part"][0], "y": Single()[1]}
            def run_task(self):
                return self.one, self.many, self.named, self.given
        class Nests(TaskBase):
            def run_task(self):
                return Split(4).run_graph()["all"], Split(4).get_task_result()["const"]
        if __name__ == "__main__":
            for how in ({}, {"force_interactive": True}):
                print(Holds(Split(1)).run_graph(**how))
            print(Nests().run_graph())
    """, env={"TP_STORE": store})  # fmt: skip
    given = "{'all': [0], 'part': [7, 8], 'const': 3}"
    held = f"(10, [[0, 10, 20], [7, 8], 1], {{'x': 7, 'y': 8}}, {given})"
    assert done.out.splitlines() == [held, held, "([0, 10, 20, 30], 3)"]


def test_script_and_command_share_what_was_returned(run_script: ScriptRunner):
    script = str(run_script.write("""
        from dataclasses import dataclass
        from taskproc import Requires, TaskBase
        @dataclass(frozen=True)
        class Point:
            x: int
        class One(TaskBase):
            def __init__(self, point):
                self.point = point
            def run_task(self):
                return self.point.x
        class Split(TaskBase, expands=True):
            def run_task(self):
                return [One(Point(1)), One(Point(2))]
        class Main(TaskBase):
            parts: Requires[list]
            def __init__(self):
                self.parts = Split()
            def run_task(self):
                return sum(self.parts)
        if __name__ == "__main__":
            print(Main().run_graph_with_stats()[1]["stats"])
    """, "steps.py"))  # fmt: skip
    run_script.run([sys.executable, script])
    command = run_script.run([sys.executable, "-m", "taskproc", script, "--no-progress"])
    assert "nothing ran, 4 tasks cached" in command.out
    assert run_script.run([sys.executable, script]).out == "{}\n"
