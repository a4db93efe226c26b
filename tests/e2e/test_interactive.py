"""Interactive tasks have the driver's main thread and the real terminal; nothing else is submitted meanwhile."""
from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.support import ScriptRunner

TASKS = """
import os, sys, threading, time
from taskproc import Requires, RequiresList, TaskBase

class Up(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        return self.n

class Asks(TaskBase, interactive=True):
    up: RequiresList[int]
    def __init__(self):
        self.up = [Up(1), Up(2)]
    def run_task(self):
        assert threading.current_thread() is threading.main_thread()
        assert sys.stdin.isatty() and sys.stdout.isatty()
        answer = input("how many? ")
        {line}
        return sum(self.up) + int(answer)

class After(TaskBase):
    asks: Requires[int]
    def __init__(self):
        self.asks = Asks()
    def run_task(self):
        print("not on the terminal")
        return self.asks + 1

if __name__ == "__main__":
    print("result", After().run_graph({how}))
"""


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, runner: ScriptRunner, script: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, script], cwd=runner.home, env=runner.environment({"TERM": "dumb"}),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def expect(self, text: str, seconds: float = 30) -> None:
        """Read on until a text is there."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode()
                except OSError:
                    assert text in self.seen, self.seen
                    return

    def type(self, text: str) -> None:
        """Write to the process."""
        os.write(self.master, text.encode())

    def close(self) -> int:
        """Wait for the end."""
        code = self.process.wait(30)
        os.close(self.master)
        return code


@pytest.mark.parametrize("how", ["", "backend='thread'", "backend='process'", "backend='prefix'"])
def test_interactive_task_has_the_terminal(run_script: ScriptRunner, how: str):
    terminal = Terminal(run_script, str(run_script.write(TASKS.format(how=how, line=""), "script.py")))
    terminal.expect("how many? ")
    terminal.type("4\n")
    terminal.expect("result 8")
    assert terminal.close() == 0
    assert "not on the terminal" not in terminal.seen


def test_breakpoint_works(run_script: ScriptRunner):
    terminal = Terminal(run_script, str(run_script.write(TASKS.format(how="", line="breakpoint()"), "script.py")))
    terminal.expect("how many? ")
    terminal.type("4\n")
    terminal.expect("(Pdb) ")
    terminal.type("answer = '10'\n")
    terminal.type("p self.up\n")
    terminal.expect("[1, 2]")
    terminal.type("c\n")
    terminal.expect("result 14")
    assert terminal.close() == 0


def test_interrupt_belongs_to_the_interactive_task(run_script: ScriptRunner):
    line = """
        try:
            print("waiting"); time.sleep(60)
        except KeyboardInterrupt:
            print("caught")
    """
    terminal = Terminal(run_script, str(run_script.write(TASKS.format(how="", line=line.strip()), "script.py")))
    terminal.expect("how many? ")
    terminal.type("4\n")
    terminal.expect("waiting")
    terminal.process.send_signal(2)
    terminal.expect("caught")
    terminal.expect("result 8")
    assert terminal.close() == 0


def test_nothing_is_submitted_while_an_interactive_task_runs(run_script: ScriptRunner):
    text = """
    import time
    from taskproc import RequiresList, TaskBase
    class Talk(TaskBase, interactive=True):
        def run_task(self):
            begun = time.time()
            time.sleep(1.0)
            return begun, time.time()
    class First(TaskBase):
        def run_task(self):
            time.sleep(0.3)
            return time.time()
    class Second(TaskBase):
        up: RequiresList[float]
        def __init__(self):
            self.up = [First()]
        def run_task(self):
            return time.time()
    class All(TaskBase):
        parts: RequiresList[float]
        def __init__(self):
            self.parts = [First(), Talk(), Second()]
        def run_task(self):
            return self.parts
    first, (begun, ended), second = All().run_graph()
    print(begun < first < ended, second > ended)
    """
    assert run_script(text).out == "True True\n"


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_interactive_task_may_run_a_graph_that_shares_running_tasks(run_script: ScriptRunner, store: str):
    text = """
    import time
    from taskproc import RequiresList, TaskBase
    class Shared(TaskBase):
        def run_task(self):
            time.sleep(1)
            return 5
    class Talk(TaskBase, interactive=True):
        def run_task(self):
            return Shared().run_graph()
    class All(TaskBase):
        parts: RequiresList[float]
        def __init__(self):
            self.parts = [Shared(), Talk()]
        def run_task(self):
            return self.parts
    result, stats = All().run_graph_with_stats()
    print(result, stats["stats"]["script.Shared"])
    """
    assert run_script(text, env={"TP_STORE": store}, timeout=30).out == "[5, 5] 1\n"
