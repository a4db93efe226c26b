"""What counts of a script's surroundings when it runs: its entry, its arguments, its upstreams, what it watches."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.support import ScriptRunner

HEAD = "from taskproc import Requires, TaskBase\n"
SHOW = "result, stats = T().run_graph_with_stats(backend={backend!r})\nprint(result, len(stats['stats']))\n"


def edited(run_script: ScriptRunner, script: str, old: str, new: str) -> str:
    run_script(HEAD + script)
    assert old in script
    return run_script(HEAD + script.replace(old, new)).out


@pytest.mark.parametrize("backend", ["process", "thread"])
@pytest.mark.parametrize(
    "script",
    [
        "class T(TaskBase):\n    def run_task(self): return K\nif __name__ == '__main__':\n    K = 3\n",
        "class T(TaskBase):\n    def run_task(self): return K\ndef main():\n    global K\n    K = 3\nmain()\n",
        "class T(TaskBase):\n    def run_task(self): return self.k\nT.k = 3\n",
    ],
    ids=["under the check for scripts", "by a function", "on the class"],
)
def test_what_a_script_sets_later_runs_it_again(run_script: ScriptRunner, script: str, backend: str) -> None:
    assert edited(run_script, script + SHOW.format(backend=backend), "= 3", "= 7") == "7 1\n"


def test_a_method_of_what_an_upstream_gave_runs_again_who_calls_it(run_script: ScriptRunner) -> None:
    run_script.write("class P:\n    def m(self): return 3\n    def unused(self): return 1\n", "held.py")
    script = """
import sys; sys.path.insert(0, ".")
from held import P
class Load(TaskBase):
    def run_task(self): return P()
class T(TaskBase):
    data: Requires[P]
    def __init__(self): self.data = Load()
    def run_task(self): return self.data.m()
""" + SHOW.format(backend="process")
    assert run_script(HEAD + script).out == "3 2\n"
    run_script.write("class P:\n    def m(self): return 7\n    def unused(self): return 1\n# longer\n", "held.py")
    assert run_script(HEAD + script).out.startswith("7 ")


def test_a_task_that_runs_inside_another_counts(run_script: ScriptRunner) -> None:
    script = """
class Inner(TaskBase):
    def run_task(self): return 3
class T(TaskBase):
    def run_task(self): return Inner().run_graph()
""" + SHOW.format(backend="thread")
    assert edited(run_script, script, "return 3", "return 7").startswith("7 ")


@pytest.fixture
def lab(taskproc: Command) -> Command:
    taskproc.file("def f(): return 3\n", "plug.py")
    taskproc.file("TABLE = 1\n", "table.txt")
    return taskproc


TASKS = """
    import sys
    from taskproc import TaskBase
    import plug

    def load(name): return sys.modules["pl" + name].f()

    class Main(TaskBase{watch}):
        def run_task(self):
            print("got", load("ug"))
"""


@pytest.mark.parametrize("watch", ["plug", "'plug'", "['plug.py']", "[plug, 'table.txt']"])
def test_a_watched_module_or_file_counts_as_a_whole(lab: Command, watch: str) -> None:
    lab.file(TASKS.format(watch=f", watch={watch}"))
    assert "got 3" in lab("tasks.py").out
    lab.file("def f(): return 3  # said otherwise\n", "plug.py")
    assert "Nothing would run" in lab("tasks.py", "--dry-run").out
    lab.file("def f(): return 77\n", "plug.py")
    told = lab("why", "tasks.py").out
    assert "its source changed: f" in told
    assert "+    return 77" in told
    assert "got 77" in lab("tasks.py").out


def test_a_watched_file_that_is_no_python_counts_by_its_bytes(lab: Command) -> None:
    lab.file(TASKS.format(watch=", watch='table.txt'"))
    lab("tasks.py")
    assert "Nothing would run" in lab("tasks.py", "--dry-run").out
    lab.file("TABLE = 2\n", "table.txt")
    assert "Main(): its source changed" in lab("tasks.py", "--dry-run").out


def test_what_is_watched_must_be_there(lab: Command) -> None:
    lab.file(TASKS.format(watch=", watch='missing.txt'"))
    told = lab("tasks.py")
    assert told.code != 0
    assert "tasks.py: Main: watch names 'missing.txt', which is no module" in told.err


def test_whole_files_count_if_that_is_set(lab: Command) -> None:
    lab.file(TASKS.format(watch=""))
    on = {"TP_DETECT": "files"}
    assert "got 3" in lab("tasks.py", **on).out
    assert "Nothing would run" in lab("tasks.py", "--dry-run", **on).out
    lab.file("def f(): return 77\n", "plug.py")
    assert "Main(): its source changed" in lab("tasks.py", "--dry-run", **on).out
    lab.file("detect = 'files'\n", "taskproc.toml")
    assert "its source changed" in lab("why", "tasks.py").out
    wrong = lab("tasks.py", TP_DETECT="lines")
    assert "is neither 'names' nor 'files'" in wrong.err


def test_a_module_named_like_one_of_pythons_own_is_the_users(run_script: ScriptRunner) -> None:
    assert "statistics" in sys.stdlib_module_names
    script = """
import sys; sys.path.insert(0, ".")
from statistics import mine
class T(TaskBase):
    def run_task(self): return mine()
""" + SHOW.format(backend="process")
    run_script.write("def mine(): return 3\n", "statistics.py")
    assert run_script(HEAD + script).out == "3 1\n"
    run_script.write("def mine(): return 77\n", "statistics.py")
    assert run_script(HEAD + script).out == "77 1\n"


def test_an_editable_install_by_an_import_hook_is_the_users(taskproc: Command, tmp_path: Path) -> None:
    taskproc.file("def f(): return 3\n", "lib/hooked.py")
    taskproc.file("""
        import importlib.util, pathlib, sys
        class Finder:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                file = pathlib.Path(__file__).parent / "lib" / "hooked.py"
                return importlib.util.spec_from_file_location(name, file) if name == "hooked" else None
        sys.meta_path.append(Finder)
    """, "hook.py")
    taskproc.file("""
        import hook
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self):
                from hooked import f
                print("got", f())
    """)
    assert "got 3" in taskproc("tasks.py").out
    taskproc.file("def f(): return 77\n", "lib/hooked.py")
    assert "Main(): its source changed" in taskproc("tasks.py", "--dry-run").out
