"""What one task changes in its process does not hold for the next one there.

A script runs pairs of tasks in one process. The first of a pair changes something; the second tells what it finds.
"""
from __future__ import annotations

import ast

import pytest

from tests.support import ScriptRunner

PAIRS = {
    "working directory": ("os.chdir('/')", "os.getcwd() == HOME", True),
    "working directory that is gone": (
        "d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)", "os.getcwd() == HOME", True,
    ),
    "environment": ("os.environ['MODE'] = 'fast'", "os.environ.get('MODE')", None),
    "environment, something less": ("del os.environ['KEPT']", "os.environ.get('KEPT')", "kept"),
    "environment, something else": ("os.environ['KEPT'] = 'x'", "os.environ.get('KEPT')", "kept"),
    "decimal context": ("decimal.getcontext().prec = 5", "str(decimal.Decimal(1) / 3)[:12]", "0.3333333333"),
    "standard output": ("sys.stdout = io.StringIO()", "type(sys.stdout).__name__", "TextIOWrapper"),
    "closed standard output": ("sys.stdout.close()", "sys.stdout.closed", False),
    "standard input": ("sys.stdin = io.StringIO('3')", "sys.stdin.read()", ""),
    "recursion limit": ("sys.setrecursionlimit(200)", "sys.getrecursionlimit() >= 1000", True),
    "import path": ("sys.path.insert(0, '/nowhere')", "'/nowhere' in sys.path", False),
    "umask": ("os.umask(0o077)", "os.umask(0o022)", 0o022),
    "locale": (
        "locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')", "locale.setlocale(locale.LC_NUMERIC)", "C",
    ),
    "signal handler": (
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL", True,
    ),
    "warnings filters": ("warnings.simplefilter('error')", "warnings.warn('x')", None),
    "level of the root logger": ("logging.getLogger().setLevel(1)", "logging.getLogger().level", 30),
    "handlers": (
        "logging.getLogger('mine').addHandler(logging.FileHandler('mine.log'))",
        "logging.getLogger('mine').handlers",
        [],
    ),
}
WAYS = {
    "a worker": "backend='process', max_workers=1",
    "a pool of one's own": "executor=ProcessPoolExecutor(1)",
}


@pytest.mark.parametrize("way", WAYS)
def test_next_task_finds_its_process_as_if_it_were_the_first(run_script: ScriptRunner, way: str):
    changes = [change for change, _, _ in PAIRS.values()]
    looks = [look for _, look, _ in PAIRS.values()]
    text = f"""
import os
from concurrent.futures import ProcessPoolExecutor
from taskproc import Requires, RequiresList, TaskBase
HOME = os.getcwd()
os.umask(0o022)
NAMES = dict.fromkeys("decimal io locale logging os signal sys tempfile warnings".split())
def names():
    return {{"HOME": HOME, **{{name: __import__(name) for name in NAMES}}}}
class Change(TaskBase):
    def __init__(self, code: str):
        self.code = code
    def run_task(self):
        exec(self.code, names())
        return os.getpid()
class Look(TaskBase):
    before: Requires
    def __init__(self, change: str, code: str):
        self.before = Change(change)
        self.code = code
    def run_task(self):
        return repr(eval(self.code, names())), os.getpid() == self.before
class All(TaskBase):
    looks: RequiresList
    def __init__(self):
        self.looks = [Look(*pair) for pair in zip({changes!r}, {looks!r})]
    def run_task(self):
        return self.looks
if __name__ == "__main__":
    print(All().run_graph({WAYS[way]}))
"""
    told = ast.literal_eval(run_script(text, env={"KEPT": "kept"}).out)
    found = {kind: (ast.literal_eval(value), same) for kind, (value, same) in zip(PAIRS, told, strict=True)}
    assert found == {kind: (right, True) for kind, (_, _, right) in PAIRS.items()}


def test_what_a_module_sets_when_it_is_imported_stays(run_script: ScriptRunner):
    run_script.write(
        """
        import os, sys
        from taskproc import TaskBase
        os.environ["FROM_MODULE"] = "yes"
        class T(TaskBase):
            def __init__(self, n: int):
                self.n = n
            def run_task(self):
                return os.environ.get("FROM_MODULE")
        """,
        "steps.py",
    )
    text = """
    import os
    from taskproc import RequiresList, TaskBase
    from steps import T
    del os.environ["FROM_MODULE"]
    class All(TaskBase):
        ts: RequiresList
        def __init__(self):
            self.ts = [T(n) for n in range(3)]
        def run_task(self):
            return self.ts
    print(All().run_graph(backend="process", max_workers=1))
    """
    assert run_script(text).out == "['yes', 'yes', 'yes']\n"


def test_each_task_has_its_warnings_in_its_log(run_script: ScriptRunner):
    text = """
    import warnings
    from taskproc import RequiresList, TaskBase
    class Warns(TaskBase):
        def __init__(self, i: int):
            self.i = i
        def run_task(self):
            warnings.warn("careful", stacklevel=1)
    class All(TaskBase):
        warned: RequiresList
        def __init__(self):
            self.warned = [Warns(i) for i in range(3)]
    All().run_graph(backend="process", max_workers=1)
    print(["careful" in Warns(i).task_stderr.read_text() for i in range(3)])
    """
    assert run_script(text).out == "[True, True, True]\n"


def test_what_was_printed_before_the_stream_was_replaced_is_in_the_log(run_script: ScriptRunner):
    text = """
    import io, sys
    from taskproc import TaskBase
    class Prints(TaskBase, store="packed"):
        def run_task(self):
            print("before")
            sys.stdout = io.StringIO()
            print("into the other")
    Prints().run_graph(backend="process")
    print(Prints().task_stdout.read_text(), end="")
    """
    assert run_script(text).out == "before\n"
