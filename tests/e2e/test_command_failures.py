"""What the command says and does when tasks fail, and when it is interrupted."""
from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.command import Command
from tests.support import end_quietly, is_alive, wait_for

FAILING = """
    import sys
    from taskproc import RequiresList, TaskBase

    class Part(TaskBase):
        def __init__(self, n: int, why: str = "odd"):
            self.n = n
            self.why = why
        def run_task(self) -> int:
            if self.n % 2:
                for line in range(30):
                    print("complaint", line, file=sys.stderr)
                raise ValueError(f"{self.n} is {self.why}")
            print("worked on", self.n)
            return self.n

    class Main(TaskBase):
        parts: RequiresList[int]
        def __init__(self, n: int = 4):
            self.parts = [Part(i) for i in range(n)]
        def run_task(self) -> None:
            pass
"""

SLEEPING = """
    import os, subprocess, sys, time
    from pathlib import Path
    from taskproc import Requires, RequiresList, TaskBase

    class Quick(TaskBase):
        def run_task(self) -> None:
            print("quick")

    class Sleep(TaskBase):
        quick: Requires[None]
        def __init__(self, n: int):
            self.n = n
            self.quick = Quick()
        def run_task(self) -> None:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            pids = Path(__file__).with_name("pids")
            pids.mkdir(exist_ok=True)
            (pids / str(os.getpid())).touch()
            (pids / str(child.pid)).touch()
            child.wait()

    class Main(TaskBase):
        sleeps: RequiresList[None]
        def __init__(self) -> None:
            self.sleeps = [Sleep(0), Sleep(1)]
"""


def test_a_failure_is_told_readably_with_status_1(taskproc: Command) -> None:
    file = taskproc.file(FAILING)
    ended = taskproc(file, "-w", "1", "-s", "n=2")
    assert ended.code == 1
    account = ended.err
    assert "FAILED Part(n=1" in account
    assert '  arguments  {"n": 1, "why": "odd"}\n' in account
    assert "  exception  ValueError: 1 is odd\n" in account
    assert "    complaint 29\n" in account
    assert "    ValueError: 1 is odd\n" in account
    assert "complaint 3\n" not in account  # only the last lines
    assert f"  directory  {file.parent}/.cache/taskproc/tasks.Part/results/" in account
    assert "1 task failed" in account


@pytest.mark.parametrize("backend", ["process", "thread"])
def test_no_traceback_leads_through_the_driver(taskproc: Command, backend: str) -> None:
    ended = taskproc(taskproc.file(FAILING), "-b", backend)
    files = [line for line in ended.err.splitlines() if line.strip().startswith("File ")]
    assert files
    assert all("tasks.py" in line for line in files)


def test_without_keep_going_the_rest_is_left(taskproc: Command) -> None:
    slow = FAILING.replace("if self.n % 2:", "__import__('time').sleep(0.5)\n            if self.n % 2:")
    ended = taskproc(taskproc.file(slow), "-w", "1", "-s", "n=8")
    assert ended.code == 1
    assert ended.err.count("FAILED") == 1


def test_keep_going_names_every_failure(taskproc: Command) -> None:
    file = taskproc.file(FAILING)
    ended = taskproc(file, "--keep-going", "-s", "n=50")
    assert ended.code == 1
    for n in range(1, 50, 2):
        assert f"ValueError: {n} is odd" in ended.err
    assert "25 tasks failed" in ended.err
    assert "25 tasks ran, and their results are kept" in ended.err

    again = taskproc(file, "--keep-going", "-s", "n=50")
    assert "25 tasks failed" in again.err
    assert "ran, and" not in again.err


def test_an_error_without_words_and_one_of_many_lines(taskproc: Command) -> None:
    taskproc.file(
        """
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self):
                raise RuntimeError("first line\\nsecond line")
        class Silent(TaskBase):
            def run_task(self):
                assert False
        """
    )
    assert "exception  RuntimeError: first line\n             second line\n" in taskproc("tasks.py").err
    assert "exception  AssertionError\n" in taskproc("tasks.py", "-e", "Silent").err


def test_an_error_whose_text_fails_is_told_by_its_name(taskproc: Command) -> None:
    taskproc.file(
        """
        from taskproc import TaskBase
        class Odd(Exception):
            def __str__(self):
                return self.missing
        class Main(TaskBase):
            def run_task(self):
                raise Odd("x")
        """
    )
    assert "exception  Odd: (its text cannot be had: its __str__ raised AttributeError)" in taskproc("tasks.py").err


def test_a_dead_worker_is_told_with_its_signal(taskproc: Command) -> None:
    taskproc.file(
        """
        import os, signal
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self):
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = taskproc("tasks.py")
    assert ended.code == 1
    assert "SIGKILL" in ended.err


def test_a_cache_that_cannot_be_made_is_one_sentence(taskproc: Command) -> None:
    file = taskproc.file(FAILING)
    (taskproc.home / "taken").write_text("")
    ended = taskproc(file, "--cache-dir", "taken/cache")
    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert "taken/cache" in ended.err


def test_a_bug_of_ours_keeps_its_traceback_and_says_what_to_report(taskproc: Command) -> None:
    taskproc.file(
        """
        import taskproc.cli.report
        from taskproc import TaskBase
        def broken(*args):
            raise LookupError("deep inside")
        taskproc.cli.report.print_summary = broken
        class Main(TaskBase):
            pass
        """
    )
    ended = taskproc("tasks.py")
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert "LookupError: deep inside" in ended.err
    assert "Please report it" in ended.err
    assert "tasks.py" in ended.err.partition("Please report")[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_everything_with_status_130(taskproc: Command, number: signal.Signals) -> None:
    file = taskproc.file(SLEEPING)
    process = taskproc.start(file, "-w", "3")
    try:
        pids = wait_for(lambda: started(file, 4), "four processes")
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        end_quietly(process)
    assert process.returncode == 130, err
    assert "Interrupted after" in err
    assert "1 task ran" in err
    assert "Traceback" not in err
    wait_for(lambda: not [pid for pid in pids if is_alive(pid)], "end of the tasks", 60)
    wait_for(lambda: not processes_of(process), "end of all processes", 60)


def test_threads_do_not_hold_up_the_end(taskproc: Command) -> None:
    file = taskproc.file(
        """
        import time
        from pathlib import Path
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self):
                (Path(__file__).parent / "pids").mkdir()
                (Path(__file__).parent / "pids/1").touch()
                time.sleep(600)
        """
    )
    process = taskproc.start(file, "-b", "thread")
    try:
        wait_for(lambda: started(file, 1), "the task")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=15)
    finally:
        end_quietly(process)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_an_interrupt_while_the_file_is_loaded(taskproc: Command) -> None:
    file = taskproc.file(
        """
        import time
        from pathlib import Path
        (Path(__file__).parent / "pids").mkdir()
        (Path(__file__).parent / "pids/1").touch()
        time.sleep(600)
        """
    )
    process = taskproc.start(file)
    try:
        wait_for(lambda: started(file, 1), "the file")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=8)
    finally:
        end_quietly(process)
    assert process.returncode == 130
    assert err.strip() == "Interrupted."


def test_the_next_run_goes_on_after_an_interrupt(taskproc: Command) -> None:
    file = taskproc.file(SLEEPING)
    process = taskproc.start(file, "-w", "3")
    try:
        wait_for(lambda: started(file, 4), "four processes")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=8)
    finally:
        end_quietly(process)
    out = taskproc(file, "--dry-run").out
    assert "Sleep" in out
    assert "Quick" not in out


def started(file: Path, number: int) -> list[int]:
    """Give the processes that the tasks started, once there are so many."""
    pids = file.with_name("pids")
    found = [int(path.name) for path in pids.iterdir()] if pids.is_dir() else []
    return found if len(found) >= number else []


def processes_of(process: subprocess.Popen[str]) -> list[int]:
    """Give what is left of a process's session."""
    left = []
    for other in psutil.process_iter():
        try:
            if os.getsid(other.pid) == process.pid and is_alive(other.pid):
                left.append(other.pid)
        except (ProcessLookupError, PermissionError):
            continue
    return left
