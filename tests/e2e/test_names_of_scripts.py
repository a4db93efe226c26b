"""A script's classes count under the name of its module, however it is run."""
from __future__ import annotations

import sys

import pytest

from tests.support import ScriptRunner

SCRIPT = """
import dataclasses, enum
from taskproc import Requires, TaskBase
class Mode(enum.Enum):
    FAST = 1
@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    mode: Mode = Mode.FAST
class Load(TaskBase):
    def __init__(self, at: Point):
        self.at = at
    def run_task(self):
        return Point(self.at.x + 1)
class Main(TaskBase):
    loaded: Requires[Point]
    def __init__(self):
        self.loaded = Load(Point(WHAT))
    def run_task(self):
        assert type(self.loaded) is Point, type(self.loaded)
        return self.loaded
if __name__ == "__main__":
    result, stats = Main().run_graph_with_stats(backend="thread")
    assert type(result) is Point
    print(result.x, json.dumps(stats["stats"]))
"""


def script(what: int, *, more: str = "") -> str:
    return "import json\n" + SCRIPT.replace("WHAT", str(what)) + more


WAYS = {
    "python": [sys.executable, "steps.py"],
    "python -m": [sys.executable, "-m", "steps"],
    "taskproc": [sys.executable, "-m", "taskproc", "steps.py", "--no-progress", "-b", "thread"],
}


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_all_ways_to_run_a_script_share_results(run_script: ScriptRunner, first: str, second: str):
    path = run_script.write(script(41), "steps.py")
    ways = {name: [str(path) if part == "steps.py" else part for part in argv] for name, argv in WAYS.items()}
    env = {"PYTHONPATH": str(path.parent)}
    run_script.run(ways[first], env=env)
    ended = run_script.run(ways[second], env=env)
    assert "42 {}" in ended.out if second != "taskproc" else "up to date" in ended.out + ended.err
    changed = script(41).replace("return self.loaded", "return self.loaded  or None")
    run_script.write(changed, "steps.py")
    ended = run_script.run(ways[second], env=env)  # reads what was kept the other way
    assert '42 {"steps.Main": 1}' in ended.out if second != "taskproc" else "1 ran" in ended.out + ended.err


def test_two_scripts_do_not_share_a_class_of_one_name(run_script: ScriptRunner):
    run_script(script(1), "one.py")
    assert '"other.Load": 1' in run_script(script(2), "other.py").out
    assert run_script(script(1), "one.py").out == "2 {}\n"


def test_a_script_in_a_package_counts_under_its_whole_name(run_script: ScriptRunner):
    run_script.write("", "pack/__init__.py")
    path = run_script.write(script(3), "pack/main.py")
    assert run_script.run([sys.executable, str(path)]).out == '4 {"pack.main.Load": 1, "pack.main.Main": 1}\n'
    env = {"PYTHONPATH": str(run_script.home)}
    assert run_script.run([sys.executable, "-m", "pack.main"], env=env).out == "4 {}\n"


@pytest.mark.parametrize(
    ("name", "expected"), [("JPY_SESSION_NAME", "analysis"), ("OTHER", "__main__")], ids=["known", "unknown"]
)
def test_a_notebook_counts_under_its_own_name_where_it_is_known(run_script: ScriptRunner, name: str, expected: str):
    code = "from taskproc import TaskBase\nclass T(TaskBase): pass\nprint(T.task_name)"
    env = {name: "/some/where/analysis.ipynb"}
    assert run_script.run([sys.executable, "-c", code], env=env).out == f"{expected}.T\n"
