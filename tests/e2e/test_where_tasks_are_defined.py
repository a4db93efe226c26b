"""Task classes from scripts, modules, packages, notebooks and prompts all work, and are cached across processes."""
from __future__ import annotations

import sys

import pytest

from tests.support import ScriptRunner

TASKS = """
from taskproc import Requires, TaskBase

class Record:
    def __init__(self, value):
        self.value = value

def triple(record):
    return Record(3 * record.value)

class Up(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        print("up")
        return Record(self.n)

class Down(TaskBase):
    up: Requires[Record]
    def __init__(self, n: int):
        self.up = Up(n)
    def run_task(self):
        assert type(self.up) is Record
        return triple(self.up)
"""
REPORT = """
result, stats = Down(14).run_graph_with_stats({how})
assert type(result) is Record
print(result.value, sum(stats["stats"].values()))
"""
GUARDED = TASKS + "if __name__ == '__main__':\n" + REPORT.replace("\n", "\n    ")
HOW = ["", "backend='process', max_workers=1", "backend='prefix'", "backend='thread'"]


@pytest.mark.parametrize("how", HOW, ids=["local", "process", "prefix", "thread"])
def test_script_without_a_guard_runs_nothing_the_second_time(run_script: ScriptRunner, how: str):
    text = TASKS + REPORT.format(how=how)
    assert run_script(text).out == "42 2\n"
    assert run_script(text).out == "42 0\n"


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_guarded_script_runs_nothing_the_second_time(run_script: ScriptRunner, store: str):
    text = GUARDED.format(how="")
    assert run_script(text, env={"TP_STORE": store}).out == "42 2\n"
    assert run_script(text, env={"TP_STORE": store}).out == "42 0\n"


def test_process_pool_of_ones_own_works_in_a_guarded_script(run_script: ScriptRunner):
    text = GUARDED.format(how="executor=__import__('concurrent.futures').futures.ProcessPoolExecutor(1)")
    assert run_script(text).out == "42 2\n"


def test_classes_of_a_module(run_script: ScriptRunner):
    run_script.write(TASKS, "steps.py")
    text = "from steps import Down, Record\n" + REPORT.format(how="")
    assert run_script(text).out == "42 2\n"
    assert run_script(text).out == "42 0\n"


def test_classes_of_a_package_with_relative_imports(run_script: ScriptRunner):
    run_script.write("", "pack/__init__.py")
    run_script.write("NUMBER = 14", "pack/config.py")
    steps = TASKS.replace("return Record(self.n)", "from .config import NUMBER\n        return Record(NUMBER)")
    run_script.write(steps, "pack/steps.py")
    text = "from pack.steps import Down, Record\n" + REPORT.format(how="")
    assert run_script(text).out == "42 2\n"
    assert run_script(text).out == "42 0\n"


def test_script_run_as_a_module(run_script: ScriptRunner):
    run_script.write("", "pack/__init__.py")
    run_script.write(GUARDED.format(how=""), "pack/main.py")
    assert run_script.run([sys.executable, "-m", "pack.main"]).out == "42 2\n"
    assert run_script.run([sys.executable, "-m", "pack.main"]).out == "42 0\n"


def test_classes_made_in_a_function(run_script: ScriptRunner):
    text = """
    from taskproc import TaskBase
    def make(factor):
        class Local(TaskBase):
            def __init__(self, n: int):
                self.n = n
            def run_task(self):
                return factor * self.n
        return Local
    print(make(3)(14).run_graph())
    """
    assert run_script(text).out == "42\n"


def test_prompt_says_once_that_there_is_no_source_and_goes_on(run_script: ScriptRunner):
    ended = run_script.run([sys.executable, "-"], stdin=TASKS + REPORT.format(how="") + REPORT.format(how=""))
    assert ended.out == "42 2\n42 0\n"
    assert ended.err.count("__main__.Down has no source to read") == 1


def test_interactive_prompt(run_script: ScriptRunner):
    session = TASKS.replace("\n\n", "\n").replace("\nclass", "\n\nclass").replace("\ndef", "\n\ndef") + "\n"
    session += "Down(14).run_graph().value\n"
    ended = run_script.run([sys.executable, "-i", "-q"], stdin=session)
    assert "42" in ended.out, ended.err


def test_notebook_cells(run_script: ScriptRunner):
    pytest.importorskip("IPython")
    report = REPORT.format(how="")
    other = TASKS.replace("3 * record.value", "4 * record.value").replace("return triple", "return  triple")
    changed = TASKS.replace('print("up")', 'print("changed")')
    ended = run_script.cells([TASKS, report, TASKS, report, other, changed, report])
    assert ended.out == "42 2\n42 0\n42 1\n"  # what gives the same again spares what needs it


def test_results_of_a_script_are_read_by_a_later_process_as_its_own_types(run_script: ScriptRunner):
    run_script(TASKS + REPORT.format(how=""))
    again = TASKS + "record = Down(14).get_task_result()\nprint(type(record) is Record, record.value)\n"
    assert run_script(again).out == "True 42\n"


def test_dotenv_is_found_from_the_working_directory(run_script: ScriptRunner):
    run_script.write("TP_CACHE_DIR=from-dotenv\nTP_EXECUTOR=thread\n", ".env")
    text = """
    import os
    from taskproc import Context, TaskBase
    class Pid(TaskBase):
        def run_task(self):
            return os.getpid()
    assert Pid().run_graph() == os.getpid()
    print(Context.cache_dir)
    """
    path = run_script.write(text, "script.py")
    environment = run_script.environment()
    del environment["TP_CACHE_DIR"]
    import subprocess

    out = subprocess.run([sys.executable, path], cwd=run_script.home, env=environment, capture_output=True, text=True)
    assert out.stdout == "from-dotenv\n", out.stderr
    assert (run_script.home / "from-dotenv" / "taskproc" / "script.Pid").is_dir()
