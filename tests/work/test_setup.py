"""What a script sets up holds in its tasks, on every backend; for what does not, there is a hook."""
from __future__ import annotations

import pytest

from tests.support import ScriptRunner

SET_UP = {
    "decimal context": ("decimal.getcontext().prec = 5", "str(decimal.Decimal(1) / 3)", "0.33333"),
    "decimal traps": (
        "decimal.getcontext().traps[decimal.Inexact] = True",
        "decimal.getcontext().traps[decimal.Inexact]",
        "True",
    ),
    "recursion limit": ("sys.setrecursionlimit(5000)", "sys.getrecursionlimit()", "5000"),
    "warnings that are errors": (
        "warnings.filterwarnings('error', message='careful.*')",
        "said(lambda: warnings.warn('careful now'))",
        "UserWarning",
    ),
    "warnings of the script's own": (
        "warnings.simplefilter('error', Mine)", "said(lambda: warnings.warn('x', Mine))", "Mine",
    ),
    "locale": (
        "locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')", "locale.setlocale(locale.LC_NUMERIC)", "C.UTF-8",
    ),
    "level of a logger": ("logging.getLogger('mine').setLevel(7)", "logging.getLogger('mine').level", "7"),
}
SCRIPT = """
import decimal, locale, logging, sys, warnings
from taskproc import TaskBase
class Mine(UserWarning): pass
def said(call):
    try: call()
    except Warning as warning: return type(warning).__name__
{set_up}
class Look(TaskBase):
    def run_task(self):
        return {look}
print(Look().run_graph(backend={backend!r}))
"""


@pytest.mark.parametrize("backend", ["process", "prefix", "thread"])
@pytest.mark.parametrize("kind", SET_UP)
def test_what_a_script_sets_holds_in_its_tasks(run_script: ScriptRunner, kind: str, backend: str):
    set_up, look, right = SET_UP[kind]
    assert run_script(SCRIPT.format(set_up=set_up, look=look, backend=backend)).out == f"{right}\n"


@pytest.mark.parametrize("backend", ["process", "thread"])
def test_what_numpy_does_about_errors_holds_in_tasks(run_script: ScriptRunner, backend: str):
    pytest.importorskip("numpy")
    set_up, look = "import numpy as np\nnp.seterr(divide='raise')", "np.geterr()['divide']"
    assert run_script(SCRIPT.format(set_up=set_up, look=look, backend=backend)).out == "raise\n"


LOGGED = """
import logging, sys, threading
from concurrent.futures import ThreadPoolExecutor
from taskproc import Requires, TaskBase
{configure}
class Logs(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        logging.getLogger("mine").info("hello %s", self.n)
        thread = threading.Thread(target=logging.getLogger("mine").info, args=("from a thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(print, "from a pool").result()
class Two(TaskBase):
    one: Requires
    other: Requires
    def __init__(self):
        self.one, self.other = Logs(1), Logs(2)
Two().run_graph(backend={backend!r})
logging.getLogger("mine").info("in the script")
for n in (1, 2):
    print(Logs(n).task_stderr.read_text(), Logs(n).task_stdout.read_text(), sep="", end="")
"""


@pytest.mark.parametrize("backend", ["process", "prefix", "thread"])
@pytest.mark.parametrize(
    "configure",
    [
        "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')",
        "logging.basicConfig(level=logging.INFO, format='{levelname} {message}', style='{')",
        "h = logging.StreamHandler()\nh.setFormatter(logging.Formatter('%(levelname)s %(message)s'))\n"
        "logging.getLogger('mine').addHandler(h)\nlogging.getLogger('mine').setLevel(20)",
    ],
    ids=["basic", "other style", "a logger of its own"],
)
def test_what_a_task_logs_is_in_its_own_log(run_script: ScriptRunner, configure: str, backend: str):
    ended = run_script(LOGGED.format(configure=configure, backend=backend))
    tasks = [line for line in ended.out.splitlines() if not line.startswith("===")]
    assert tasks == [line for n in (1, 2) for line in (f"INFO hello {n}", "INFO from a thread", "from a pool")]
    assert ended.err == "INFO in the script\n"


@pytest.mark.parametrize("backend", ["process", "prefix", "thread"])
def test_the_hook_is_called_once_before_the_first_task(run_script: ScriptRunner, backend: str):
    run_script.write('[worker]\nsetup = "mine:setup"\n', "taskproc.toml")
    run_script.write("calls = []\ndef setup():\n    calls.append(1)\n", "mine.py")
    text = f"""
    import mine
    from taskproc import RequiresList, TaskBase
    class Look(TaskBase):
        def __init__(self, n: int):
            self.n = n
        def run_task(self):
            return len(mine.calls)
    class All(TaskBase):
        looks: RequiresList
        def __init__(self):
            self.looks = [Look(n) for n in range(3)]
        def run_task(self):
            return self.looks
    print(All().run_graph(backend={backend!r}, max_workers=1))
    """
    assert run_script(text).out == "[1, 1, 1]\n"


@pytest.mark.parametrize("backend", ["process", "thread"])
@pytest.mark.parametrize(
    ("hook", "why"),
    [("gone:setup", "No module named 'gone'"), ("mine:gone", "no attribute 'gone'"), ("mine:fails", "ValueError: 3")],
)
def test_a_hook_that_fails_is_told(run_script: ScriptRunner, backend: str, hook: str, why: str):
    run_script.write(f'[worker]\nsetup = "{hook}"\n', "taskproc.toml")
    run_script.write("def fails():\n    raise ValueError(3)\n", "mine.py")
    text = f"""
    from taskproc import FailedTaskError, TaskBase
    class Look(TaskBase):
        def run_task(self):
            return 1
    try: Look().run_graph(backend={backend!r})
    except FailedTaskError as error: print(error)
    """
    out = run_script(text).out
    assert f"[worker] setup = '{hook}' failed on the worker" in out
    assert why in out
