"""The command on a terminal: bars, tasks that talk, Ctrl-C."""
from __future__ import annotations

import time

import pytest

from tests.e2e.command import Command
from tests.look.screen import screen

MANY = """
    import time
    from taskproc import Requires, RequiresList, TaskBase

    class Step(TaskBase):
        def __init__(self, n: int): self.n = n
        def run_task(self): time.sleep(0.05)

    class Main(TaskBase):
        steps: RequiresList[None]
        def __init__(self): self.steps = [Step(n) for n in range(6)]
        def run_task(self): print("all done")
"""


def many_classes(number: int) -> str:
    """Write a task file with so many classes, two tasks each."""
    classes = "\n".join(
        f"class Step{at}(TaskBase):\n    def __init__(self, n): self.n = n\n" for at in range(number)
    )
    return (
        f"from taskproc import RequiresList, TaskBase\n{classes}\n"
        "class Main(TaskBase):\n"
        "    steps: RequiresList[None]\n"
        "    def __init__(self):\n"
        f"        self.steps = [globals()[f'Step{{a}}'](n) for a in range({number}) for n in range(2)]\n"
    )


def test_bars_count_to_the_end(taskproc: Command) -> None:
    file = taskproc.file(MANY)
    with taskproc.on_terminal(file, "-w", "2") as terminal:
        terminal.wait_for("running")
        assert terminal.end() == 0
    shown = screen(terminal.output, 100)
    assert shown[0].startswith("Step 100%|")
    assert "6/6" in shown[0]
    assert shown[1].startswith("Main 100%|")
    assert "1/1" in shown[1]
    assert shown[2].startswith("Main() is done: 7 tasks ran")


def test_50_classes_fit_on_a_small_terminal(taskproc: Command) -> None:
    taskproc.file(many_classes(50))
    with taskproc.on_terminal("tasks.py", "-b", "thread", lines=12, columns=100) as terminal:
        assert terminal.end() == 0
    shown = [line for line in screen(terminal.output, 100) if line]
    assert shown[0].startswith("51 classes (51 through, 0 waiting) 100%|")
    assert "101/101" in shown[0]
    assert shown[1].startswith("Main() is done: 101 tasks ran")


def test_no_bars_when_nobody_wants_them(taskproc: Command) -> None:
    file = taskproc.file(MANY)
    with taskproc.on_terminal(file, "--no-progress") as terminal:
        assert terminal.end() == 0
    assert "%|" not in terminal.output
    assert screen(terminal.output)[0].startswith("Main() is done")


def test_a_short_run_without_a_terminal_prints_one_line(taskproc: Command) -> None:
    ended = taskproc(taskproc.file(MANY))
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("taskproc: 7/7 tasks done, after 0:0")
    assert taskproc("tasks.py").err == ""
    assert taskproc("tasks.py", "--force", "--no-progress").err == ""


def test_logging_and_warnings_do_not_garble_the_bars(taskproc: Command) -> None:
    taskproc.file(
        """
        import logging, time, warnings
        from taskproc import RequiresList, TaskBase
        class Say(TaskBase, interactive=True):
            def run_task(self):
                logging.warning("said by logging")
                warnings.warn("said by warnings")
        class Step(TaskBase, retries=1):
            def run_task(self):
                time.sleep(0.3)
                raise ValueError("once more")
        class Main(TaskBase):
            up: RequiresList[None]
            def __init__(self): self.up = [Say(), Step()]
        """
    )
    with taskproc.on_terminal("tasks.py", columns=200) as terminal:
        assert terminal.end() == 1
    shown = screen(terminal.output, 200)
    logged = [line for line in shown if "said by" in line or "is tried again" in line]
    assert [line.startswith(("WARNING:", f"{taskproc.home}", "  warnings.warn")) for line in logged] == [True] * 4
    assert [line.split()[0] for line in shown if "|" in line] == ["Say", "Step", "Main"]


def test_an_interactive_task_has_the_terminal(taskproc: Command) -> None:
    taskproc.file(
        """
        import logging, time
        from taskproc import RequiresList, TaskBase
        class Step(TaskBase):
            def run_task(self): time.sleep(1)
        class Ask(TaskBase, interactive=True):
            def run_task(self):
                print("Listen.")
                logging.warning("Still mine.")
                return input("Your name? ")
        class Main(TaskBase):
            up: RequiresList
            def __init__(self): self.up = [Ask(), Step()]
            def run_task(self): print("Hello", self.up[0])
        """
    )
    with taskproc.on_terminal("tasks.py") as terminal:
        terminal.wait_for("Your name?")
        told = ["Listen.", "WARNING:root:Still mine.", "Your name?"]
        assert screen(terminal.output, 100)[:3] == told
        time.sleep(1.2)  # no clock may tick into the question
        assert screen(terminal.output, 100)[:3] == told
        terminal.type("Ada\n")
        assert terminal.end() == 0
    assert "Hello Ada" in terminal.output
    assert screen(terminal.output, 100)[2] == "Your name? Ada"


def test_ctrl_c_leaves_the_terminal_in_order(taskproc: Command) -> None:
    taskproc.file(
        """
        import time
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self): time.sleep(600)
        """
    )
    with taskproc.on_terminal("tasks.py") as terminal:
        terminal.wait_for("running")
        terminal.type("\x03")
        assert terminal.end(60) == 130  # the task takes ten times as long
    shown = [line for line in screen(terminal.output, 100) if line]
    assert shown[-1].startswith("Interrupted after")
    assert "Traceback" not in terminal.output


@pytest.mark.parametrize("backend", ["local", "thread"])
def test_modes_of_the_terminal_are_restored(taskproc: Command, backend: str) -> None:
    import termios

    taskproc.file(
        """
        import os
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self): os.system("stty raw -echo < /dev/tty")
        """
    )
    with taskproc.on_terminal("tasks.py", "-b", backend) as terminal:
        before = termios.tcgetattr(terminal.fd)
        assert terminal.end() == 0
        assert termios.tcgetattr(terminal.fd)[:4] == before[:4]


def test_clear_asks_first(taskproc: Command) -> None:
    file = taskproc.file(MANY)
    assert taskproc(file).code == 0
    for answer, code in (("n", 1), ("y", 0)):
        with taskproc.on_terminal("clear", file) as terminal:
            terminal.wait_for("Remove them? [y/N]")
            terminal.type(f"{answer}\n")
            assert terminal.end() == code
        assert ("nothing ran" in taskproc(file).out) == (answer == "n")
