"""Ctrl-C, SIGTERM and the death of a driver end whole process trees within seconds, and lose nothing that was done."""
from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support import ScriptRunner, end_quietly, is_alive, wait_for

SLEEPERS = """
import os, subprocess, sys, time
from pathlib import Path
from taskproc import RequiresList, TaskBase

class Quick(TaskBase):
    def run_task(self):
        return 1

class Sleeper(TaskBase{keyword}):
    up: RequiresList[int]
    def __init__(self, n: int):
        self.n = n
        self.up = [Quick()]
    def run_task(self):
        child = subprocess.Popen(["sh", "-c", "trap '' TERM INT; sleep 600 & wait; sleep 600"])
        away = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(f"pids-{{self.n}}.tmp").write_text(f"{{os.getpid()}} {{child.pid}} {{away.pid}}")
        os.rename(f"pids-{{self.n}}.tmp", f"pids-{{self.n}}")
        time.sleep(600)

class All(TaskBase):
    parts: RequiresList[int]
    def __init__(self):
        self.parts = [Sleeper(n) for n in range(4)]

if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        print(Quick().get_task_result())
    else:
        All().run_graph(backend={backend!r}, max_workers=2)
"""


@pytest.fixture(params=["process", "prefix", "prefixed", "thread and timeout"])
def sleepers(request: pytest.FixtureRequest) -> str:
    """Give a script whose tasks sleep behind different backends, with processes of their own."""
    backend = {"prefixed": "local", "thread and timeout": "thread"}.get(request.param, request.param)
    keyword = {"prefixed": ", prefix_command='env'", "thread and timeout": ", timeout=500"}.get(request.param, "")
    return SLEEPERS.format(backend=backend, keyword=keyword)


def started_sleepers(home: Path) -> list[int]:
    """List the processes of the tasks that run, once two of them do."""
    files = [path for path in home.glob("pids-*") if path.suffix != ".tmp"]
    return [int(pid) for path in files for pid in path.read_text().split()] if len(files) == 2 else []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_signal_ends_whole_process_trees(run_script: ScriptRunner, sleepers: str, sent: signal.Signals):
    script = run_script.write(sleepers, "script.py")
    driver = run_script.start([sys.executable, str(script)])
    try:
        pids = wait_for(lambda: started_sleepers(run_script.home), "sleeping task", 40)
        driver.send_signal(sent)
        _, err = driver.communicate(timeout=60)
        assert driver.returncode != 0
        assert "KeyboardInterrupt" in err
        wait_for(lambda: not any(map(is_alive, pids)), "end of all processes")
    finally:
        end_quietly(driver)
    assert run_script.run([sys.executable, str(script), "check"]).out == "1\n"


def test_workers_of_a_killed_driver_end_with_their_children(run_script: ScriptRunner, sleepers: str):
    script = run_script.write(sleepers, "script.py")
    driver = run_script.start([sys.executable, str(script)])
    try:
        pids = wait_for(lambda: started_sleepers(run_script.home), "sleeping task", 40)
        driver.kill()
        wait_for(lambda: not any(map(is_alive, pids)), "end of all processes")
    finally:
        end_quietly(driver)
    assert run_script.run([sys.executable, str(script), "check"]).out == "1\n"


def test_what_was_done_before_an_interrupt_is_not_run_again(run_script: ScriptRunner):
    text = """
    import os, sys, time
    from taskproc import RequiresList, TaskBase
    class Step(TaskBase):
        def __init__(self, n: int):
            self.n = n
        def run_task(self):
            if self.n == 30 and not os.path.exists("go on"):
                open("reached", "w").close()
                time.sleep(600)
            return self.n
    class All(TaskBase):
        parts: RequiresList[int]
        def __init__(self):
            self.parts = [Step(n) for n in range(40)]
        def run_task(self):
            return sum(self.parts)
    result, stats = All().run_graph_with_stats(max_workers=1)
    print(result, sum(stats["stats"].values()))
    """
    script = run_script.write(text, "script.py")
    driver = run_script.start([sys.executable, str(script)])
    try:
        wait_for((run_script.home / "reached").exists, "sleeping task", 40)
        driver.send_signal(signal.SIGINT)
        driver.communicate(timeout=60)
    finally:
        end_quietly(driver)
    (run_script.home / "go on").touch()
    result, ran = run_script.run([sys.executable, str(script)]).out.split()
    assert int(result) == sum(range(40))
    assert int(ran) <= 11


def test_second_driver_waits_for_what_the_first_one_runs(run_script: ScriptRunner):
    text = """
    import time
    from taskproc import TaskBase
    class Slow(TaskBase):
        def run_task(self):
            with open("ran", "a") as file:
                file.write("x")
            time.sleep(2)
            return 7
    result, stats = Slow().run_graph_with_stats()
    print(result, sum(stats["stats"].values()))
    """
    script = run_script.write(text, "script.py")
    drivers = [run_script.start([sys.executable, str(script)]) for _ in range(2)]
    outs = sorted(driver.communicate(timeout=60)[0] for driver in drivers)
    assert outs == ["7 0\n", "7 1\n"]
    assert (run_script.home / "ran").read_text() == "x"


ODD = "it's a \"$HOME\" `x` \\ dir;\n& more"


@pytest.mark.parametrize("backend", ["local", "process", "prefix", "thread"])
def test_quotes_dollars_and_newlines_in_every_path(tmp_path: Path, backend: str):
    home = tmp_path / ODD
    home.mkdir()
    runner = ScriptRunner(home, home / f"cache {ODD}")
    text = f"""
    from pathlib import Path
    from taskproc import Requires, TaskBase
    class Up(TaskBase, prefix_command="echo 'from the prefix';"):
        def __init__(self, word: str):
            self.word = word
        def run_task(self):
            print(self.word)
            (self.task_directory / self.word.replace("/", "")).write_text(self.word)
            return self.word
    class Down(TaskBase):
        up: Requires[str]
        def __init__(self, word: str):
            self.up = Up(word)
        def run_task(self):
            return self.up, Path.cwd().name
    word = {ODD!r}
    assert Down(word).run_graph(backend={backend!r}) == (word, word)
    logged = Up(word).task_stdout.read_text()
    print(logged == "=== caller log ===\\nfrom the prefix\\n=== callee log ===\\n" + word + "\\n")
    """
    assert runner(text, name=f"script {ODD}.py").out == "True\n"


def test_environment_with_odd_values_reaches_a_prefixed_worker(run_script: ScriptRunner):
    text = """
    import os
    from taskproc import TaskBase
    class Show(TaskBase, prefix_command="env ADDED='a b'"):
        def run_task(self):
            return os.environ["ADDED"], os.environ["GIVEN"]
    print(Show().run_graph())
    """
    given = "$x 'y'\nz"
    assert run_script(text, env={"GIVEN": given}).out == f"{('a b', given)}\n"
