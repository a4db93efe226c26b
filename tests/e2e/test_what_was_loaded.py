"""What runs is filed under the text that was loaded, whatever is saved meanwhile, or it is refused.

Tried: a script saved between two runs, and before its classes were defined; a module, a helper's function, a helper's
constant edited in a living process; an edit that says nothing else; a module loaded again, whole or in part; an edit
while a run goes on.
"""
from __future__ import annotations

import sys

import pytest

from tests.support import ScriptRunner

BACKENDS = ["process", "thread", "prefix"]

STEPS = """
from taskproc import TaskBase
from helpers import shift
class Step(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        return shift(self.n)
"""
HELPERS = """
AMOUNT = 1000
def shift(n):
    return n + AMOUNT
"""
EDIT = """
import importlib, pathlib, sys
def edit(name, old, new):
    file = pathlib.Path(name)
    file.write_text(file.read_text().replace(old, new))
"""
LATER = "import steps\nprint(steps.Step(2).run_graph())\n"


@pytest.fixture
def lab(run_script: ScriptRunner) -> ScriptRunner:
    """A module of tasks and one of helpers."""
    run_script.write(STEPS, "steps.py")
    run_script.write(HELPERS, "helpers.py")
    return run_script


@pytest.mark.parametrize("backend", BACKENDS)
def test_script_that_was_saved_between_two_runs_files_what_it_runs(run_script: ScriptRunner, backend: str):
    text = f"""{EDIT}
from taskproc import TaskBase
class Step(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        return self.n + 1000
print(Step(1).run_graph(backend={backend!r}))
if "edit" in sys.argv:
    edit(__file__, "n + 1000", "n + 5000")
print(Step(2).run_graph(backend={backend!r}))
"""
    path = run_script.write(text, "script.py")
    assert run_script.run([sys.executable, path, "edit"]).out == "1001\n1002\n"
    assert run_script.run([sys.executable, path]).out == "5001\n5002\n"


def test_script_that_was_saved_while_it_started_is_refused(run_script: ScriptRunner):
    text = f"""{EDIT}
if "edit" in sys.argv:
    edit(__file__, "return 1", "return 2")
from taskproc import TaskBase
class Step(TaskBase):
    def run_task(self):
        return 1
print(Step().run_graph())
"""
    path = run_script.write(text, "script.py")
    ended = run_script.run([sys.executable, path, "edit"], check=False)
    assert "script.py is not on the disk as it was loaded (it was saved while it was" in ended.err
    assert run_script.run([sys.executable, path]).out == "2\n"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("steps.py", "shift(self.n)", "shift(self.n) + 4000"), ("helpers.py", "n +", "4000 + n +")],
    ids=["the class", "its helper"],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_module_that_was_edited_in_a_living_process_is_refused_until_loaded_again(
    lab: ScriptRunner, backend: str, file: str, old: str, new: str
):
    text = f"""{EDIT}
import helpers, steps, taskproc
print(steps.Step(1).run_graph(backend={backend!r}))
edit({file!r}, {old!r}, {new!r})
try:
    steps.Step(2).run_graph(backend={backend!r})
except taskproc.SourceChangedError as error:
    print(str(error).partition(",")[0])
importlib.reload(helpers), importlib.reload(steps)
print(steps.Step(2).run_graph(backend={backend!r}))
"""
    assert lab(text).out == f"1001\n{file} changed since it was loaded\n5002\n"
    assert lab(LATER).out == "5002\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n + AMOUNT", "n + AMOUNT + 4000"),
        ("AMOUNT = 1000", "AMOUNT = 5000"),
        ("AMOUNT = 1000", "AMOUNT = int('5000')"),
    ],
    ids=["function", "constant", "value"],
)
def test_helper_that_was_edited_before_anybody_looked_is_refused(lab: ScriptRunner, old: str, new: str):
    text = f"{EDIT}\nimport steps\nedit('helpers.py', {old!r}, {new!r})\nsteps.Step(2).run_graph(backend='thread')\n"
    ended = lab(text, env={"PYTHONDONTWRITEBYTECODE": ""}, check=False)
    assert "SourceChangedError: helpers.py is not on the disk as it was loaded" in ended.err
    assert lab(LATER).out == "5002\n"


def test_edit_that_says_nothing_else_is_no_obstacle(lab: ScriptRunner):
    text = f"""{EDIT}
import steps
print(steps.Step(1).run_graph())
edit("steps.py", "class Step", "# one of many\\nUNUSED = 1\\nclass Step")
edit("helpers.py", "AMOUNT = 1000", "AMOUNT = 1_000")
print(steps.Step(2).run_graph())
"""
    assert lab(text).out == "1001\n1002\n"
    assert lab("import steps\nprint(steps.Step(2).run_graph_with_stats()[1]['stats'])\n").out == "{}\n"


def test_module_that_still_holds_what_was_loaded_before_is_named(lab: ScriptRunner):
    text = f"""{EDIT}
import helpers, steps
print(steps.Step(1).run_graph())
edit("helpers.py", "n +", "4000 + n +")
importlib.reload(helpers)
steps.Step(2).run_graph(backend="thread")
"""
    told = lab(text, check=False).err
    assert "helpers.py was loaded again, but steps.py holds shift as it was before" in told
    assert lab(LATER).out == "5002\n"


PIPELINE = """
import pathlib
from taskproc import Requires, TaskBase
class Edit(TaskBase):
    def run_task(self):
        file = pathlib.Path(__file__)
        file.write_text(file.read_text().replace(OLD, NEW))
class Step(TaskBase):
    edit: Requires[None]
    def __init__(self):
        self.edit = Edit()
    def run_task(self):
        return 1000
OLD, NEW = "return 1000", "return 5000"
"""
RUN = "import pipeline\nprint(pipeline.Step().run_graph(backend='prefix'))\n"


def test_worker_that_has_another_text_than_its_driver_refuses(run_script: ScriptRunner):
    run_script.write(PIPELINE, "pipeline.py")
    ended = run_script(RUN, check=False)
    assert "pipeline.py changed since the driver has read the source of pipeline.Step" in ended.err
    assert not list(run_script.cache.rglob("failure.json"))
    assert run_script(RUN).out == "5000\n"


def test_worker_takes_an_edit_that_says_nothing_else(run_script: ScriptRunner):
    run_script.write(PIPELINE.replace("return 5000", "return 1000  # one thousand"), "pipeline.py")
    assert run_script(RUN).out == "1000\n"


def test_half_of_an_edit_is_no_failure_of_the_task(run_script: ScriptRunner):
    run_script.write(PIPELINE.replace("return 5000", "return ("), "pipeline.py")
    ended = run_script(RUN, check=False)
    assert "pipeline.Step, and cannot be loaded as it is now: nothing was run" in ended.err
    assert not list(run_script.cache.rglob("failure.json"))
    run_script.write(PIPELINE, "pipeline.py")
    assert run_script(RUN, check=False).err
    assert run_script(RUN).out == "5000\n"


def test_constant_that_code_sets_in_memory_is_no_edit(lab: ScriptRunner):
    text = f"""{EDIT}
edit("helpers.py", "AMOUNT", "SHIFT")
import helpers, steps
helpers.SHIFT = 7
print(steps.Step(2).run_graph(backend="thread"))
"""
    assert lab(text).out == "9\n"


@pytest.mark.parametrize("backend", ["process", "thread"])
def test_cell_that_runs_again_counts_for_what_needs_its_class(run_script: ScriptRunner, backend: str):
    pytest.importorskip("IPython")
    cells = [
        "from taskproc import Requires, TaskBase\nclass T(TaskBase):\n    def run_task(self): return 1",
        "class U(TaskBase):\n    t: Requires[int]\n    def __init__(self): self.t = T()\n"
        "    def run_task(self): return self.t * 10",
        f"held = U()\nprint(held.run_graph(backend={backend!r}))",
        "class T(TaskBase):\n    def run_task(self): return 2",
        f"print(U().run_graph(backend={backend!r}))",
    ]
    assert run_script.cells(cells).out == "10\n20\n"


def test_a_class_without_a_source_does_not_take_the_results_of_one_that_has_it(run_script: ScriptRunner):
    text = """
    from taskproc import TaskBase
    class T(TaskBase):
        def run_task(self): return 1
    print(T().run_graph(backend="thread"))
    exec("class T(TaskBase):\\n    def run_task(self): return 2")
    for _ in range(2):
        print(T().run_graph(backend="thread"))
    """
    assert run_script(text).out.split() == ["1", "2", "2"]


def test_what_magics_run_counts(run_script: ScriptRunner):
    cells = ["from taskproc import TaskBase\nclass T(TaskBase):\n    def run_task(self): return K"]
    ways = ["%time K = 1", "%%time\nK = 2\n", "%prun -q K = 3", "%%prun -q\nK = 4"]
    for way in ways:
        cells += [way, "print('K is', T().run_graph(backend='thread'))"]
    out = run_script.cells(cells).out
    assert [line.strip() for line in out.splitlines() if "K is" in line] == [f"K is {n}" for n in (1, 2, 3, 4)]


def test_task_that_holds_an_instance_of_a_former_class_is_refused_and_constructed_anew(run_script: ScriptRunner):
    of_c = "import dataclasses\n@dataclasses.dataclass\nclass C:\n    x: int = 1\n    def m(self): return self.x + {}"
    tasks = """
from taskproc import Requires, SourceChangedError, TaskBase
class V(TaskBase):
    def __init__(self, c): self.c = c
    def run_task(self): return self.c.m()
class W(TaskBase):
    v: Requires[int]
    def __init__(self): self.v = V(C())
    def run_task(self): return self.v
w = W()
print(w.run_graph(backend="thread"))
"""
    asked = "try: print(w.run_graph(backend='thread'))\nexcept SourceChangedError: print('refused')"
    anew = "print(W().run_graph(backend='thread'))"
    told = run_script.cells([of_c.format(0), tasks, of_c.format(100), asked, anew]).out
    assert told.split() == ["1", "refused", "101"]
