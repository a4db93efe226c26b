"""What an edit of a task file makes run again."""
from __future__ import annotations

import pytest

from tests.support import ScriptRunner

PIPELINE = '''
from taskproc import Requires, TaskBase

class Common(TaskBase):
    factor = 2

class Load(Common):
    """Load."""
    def run_task(self):
        # read
        return 10 * self.factor

class Other(TaskBase):
    def run_task(self):
        return 1

class Train(TaskBase):
    data: Requires[int]
    other: Requires[int]
    def __init__(self):
        self.data = Load()
        self.other = Other()
    def run_task(self):
        return self.data + self.other

result, stats = Train().run_graph_with_stats()
print(result, *sorted(name.rpartition(".")[2] for name in stats["stats"]))
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# read", "# read the data"),
        ("        # read\n", "\n\n"),
        ("10 * self.factor", "(10\n            * self.factor)"),
        ('"""Load."""', '"""Load the data."""'),
        ("class Load", "NEW_CONSTANT = 1\n\nclass Load"),
    ],
    ids=["comment", "blank lines", "formatting", "docstring", "something else in the file"],
)
def test_change_of_looks_runs_nothing(run_script: ScriptRunner, old: str, new: str):
    run_script(PIPELINE)
    assert run_script(PIPELINE.replace(old, new)).out == "21\n"


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_changed_body_runs_its_class_and_what_depends_on_it(run_script: ScriptRunner, store: str):
    env = {"TP_STORE": store}
    assert run_script(PIPELINE, env=env).out == "21 Load Other Train\n"
    changed = PIPELINE.replace("10 *", "100 *")
    assert run_script(changed, env=env).out == "201 Load Train\n"
    assert run_script(changed, env=env).out == "201\n"
    assert run_script(PIPELINE, env=env).out == "21 Load Train\n"


def test_changed_base_class_runs_the_derived_one(run_script: ScriptRunner):
    run_script(PIPELINE)
    assert run_script(PIPELINE.replace("factor = 2", "factor = 3")).out == "31 Load Train\n"


def test_changed_last_class_runs_alone(run_script: ScriptRunner):
    run_script(PIPELINE)
    assert run_script(PIPELINE.replace("self.data + self.other", "self.data - self.other")).out == "19 Train\n"


@pytest.mark.parametrize("off", ["0", "false", "no", ""])
def test_detection_can_be_turned_off(run_script: ScriptRunner, off: str):
    run_script(PIPELINE)
    changed = PIPELINE.replace("10 *", "100 *")
    assert run_script(changed, env={"TP_DETECT_SOURCE_CHANGE": off}).out == "21\n"
    said_in_code = changed.replace("run_graph_with_stats()", "run_graph_with_stats(detect_source_change=False)")
    assert run_script(said_in_code).out == "21\n"


def test_changed_module_is_seen_too(run_script: ScriptRunner):
    tasks, report = PIPELINE.split("result, stats")
    run_script.write(tasks, "steps.py")
    script = "from steps import *\nresult, stats" + report
    assert run_script(script).out == "21 Load Other Train\n"
    run_script.write(tasks.replace("10 *", "100 *") + "# so that its size differs\n", "steps.py")
    assert run_script(script).out == "201 Load Train\n"
