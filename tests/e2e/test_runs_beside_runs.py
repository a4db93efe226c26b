"""Runs that meet: what one does while another plans or works is neither done again nor lost."""
from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support import ScriptRunner, wait_for

STEPS = """
import os, time
from taskproc import RequiresList, TaskBase

def note(text):
    with open("bodies", "a") as file:
        file.write(text + "\\n")

class Step(TaskBase, channel="one at a time"):
    def __init__(self, n: int):
        self.n = n
    def run_task(self) -> int:
        note(f"{self.n} {os.environ['WHO']}")
        while self.n == 0 and not os.path.exists("go"):
            time.sleep(0.02)
        return self.n

class Steps(TaskBase):
    steps: RequiresList[int]
    def __init__(self, numbers: list[int]):
        self.steps = [Step(n) for n in numbers]
    def run_task(self) -> int:
        return sum(self.steps)

if __name__ == "__main__":
    numbers = [int(n) for n in os.environ["NUMBERS"].split()]
    print(Steps(numbers).run_graph(backend="thread", rate_limits={"one at a time": 1}))
"""


def start(runner: ScriptRunner, script: str, **env: str) -> subprocess.Popen[str]:
    """Start a script beside others."""
    return subprocess.Popen(
        [sys.executable, script], cwd=runner.home, env=runner.environment(env), text=True, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_what_a_short_run_did_meanwhile_is_not_done_again(run_script: ScriptRunner, store: str):
    (run_script.home / "steps.py").write_text(STEPS)
    bodies = run_script.home / "bodies"
    long = start(run_script, "steps.py", WHO="long", NUMBERS="0 1 2", TP_STORE=store)
    wait_for(bodies.exists, "start of the long run", 60)
    short = start(run_script, "steps.py", WHO="short", NUMBERS="2", TP_STORE=store)
    assert short.communicate(timeout=60)[0] == "2\n"
    (run_script.home / "go").touch()
    assert long.communicate(timeout=60)[0] == "3\n"
    assert sorted(bodies.read_text().splitlines()) == ["0 long", "1 long", "2 short"]
    again = start(run_script, "steps.py", WHO="again", NUMBERS="2", TP_STORE=store)
    assert again.communicate(timeout=60)[0] == "2\n"
    assert "again" not in bodies.read_text()


def test_what_ended_while_another_run_planned_is_not_done_again(run_script: ScriptRunner):
    (run_script.home / "steps.py").write_text(STEPS)
    (run_script.home / "slow.py").write_text(
        "import os, subprocess, sys, time\n"
        "from steps import Steps\n"
        "from taskproc.run import run\n"
        "plan = run.make_plan\n"
        "def make_plan(*given):\n"
        "    made = plan(*given)\n"  # it has seen that there are no results
        "    open('go', 'w').close()\n"
        "    while os.path.exists('runs'): time.sleep(0.02)\n"
        "    return made\n"
        "run.make_plan = make_plan\n"
        "print(Steps([0]).run_graph(backend='thread'))\n"
    )
    (run_script.home / "quick.py").write_text(
        "import os\nfrom steps import Steps\nopen('runs', 'w').close()\n"
        "print(Steps([0]).run_graph(backend='thread'))\nos.unlink('runs')\n"
    )
    quick = start(run_script, "quick.py", WHO="quick")
    wait_for((run_script.home / "bodies").exists, "start of the quick run", 60)
    slow = start(run_script, "slow.py", WHO="slow")
    assert (quick.communicate(timeout=60)[0], slow.communicate(timeout=60)[0]) == ("0\n", "0\n")
    assert (run_script.home / "bodies").read_text() == "0 quick\n"


ASKS = """
import os, time
from taskproc import RequiresList, TaskBase

class Asks(TaskBase, interactive=True, retries=2):
    def __init__(self, n: int):
        self.n = n
    def run_task(self) -> int:
        open(f"asks-{self.n}", "w").close()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            if os.environ["TASK"] != "catches":
                raise
        return self.n

class All(TaskBase):
    asks: RequiresList[int]
    def __init__(self):
        self.asks = [Asks(n) for n in range(3)]

All().run_graph(on_error="continue")
"""


@pytest.mark.parametrize(
    ("number", "task"),  # who catches Ctrl-C at a prompt of its own has dealt with it
    [(signal.SIGTERM, "lets it through"), (signal.SIGTERM, "catches"), (signal.SIGINT, "lets it through")],
)
def test_signal_while_an_interactive_task_runs_ends_the_run(
    run_script: ScriptRunner, number: signal.Signals, task: str
):
    (run_script.home / "asks.py").write_text(ASKS)
    running = start(run_script, "asks.py", TASK=task)
    wait_for((run_script.home / "asks-0").exists, "start of the task", 60)
    os.kill(running.pid, number)
    running.communicate(timeout=50)
    assert running.returncode != 0
    assert sorted(path.name for path in run_script.home.glob("asks-*")) == ["asks-0"]


DAMAGED = """
import os, sys
from pathlib import Path
from taskproc import FailedTaskError, Requires, RequiresList, TaskBase

class Up(TaskBase):
    def run_task(self) -> list:
        return [1, 2, 3]

class Down(TaskBase):
    up: Requires[list]
    def __init__(self):
        self.up = Up()
    def run_task(self) -> int:
        return len(self.up)

class Fails(TaskBase):
    def run_task(self) -> int:
        with open("failed", "a") as file:
            file.write("x")
        raise ValueError("no")

class All(TaskBase):
    parts: RequiresList[int]
    def __init__(self):
        self.parts = [Down(), Fails()]

Up().run_graph(backend="thread")
(path,) = Path(os.environ["TP_CACHE_DIR"]).glob("taskproc/*.Up/results/*/result.pkl.gz")
data = bytearray(path.read_bytes())
data[-9] ^= 1
path.write_bytes(data)
try:
    All().run_graph(backend="thread", on_error="continue")
except FailedTaskError as error:
    print(error.task, Down().get_task_result())
"""


def test_damage_runs_nothing_again_that_failed_for_good(run_script: ScriptRunner):
    ended = run_script(DAMAGED)
    assert ended.out == "Fails() 3\n", ended.err
    assert (run_script.home / "failed").read_text() == "x"


GOES_ON = """
import os, signal, threading, time
from taskproc import TaskBase

class Slow(TaskBase):
    def run_task(self):
        first = not os.path.exists("first")
        open("first", "w").close()
        path = self.task_directory / ("first" if first else "second")
        path.touch()
        if first:
            while not os.path.exists("go"):
                time.sleep(0.02)
        return str(path)

def interrupt():
    while not os.path.exists("first"):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    Slow().run_graph(backend="thread")
except KeyboardInterrupt:
    pass
threading.Timer(0.5, lambda: open("go", "w").close()).start()
for _ in range(2):
    path = Slow().run_graph(backend="thread")
    print(os.path.basename(path), os.path.exists(path))
"""


def test_thread_of_an_interrupted_run_keeps_nothing_and_spoils_nothing(run_script: ScriptRunner):
    assert run_script(GOES_ON).out == "second True\nsecond True\n"
