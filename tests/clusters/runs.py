"""Whole graphs on any cluster: what every scheduler must pass. A test module inherits them:

    class TestOnMine(GraphsOnACluster):
        @pytest.fixture
        def home(self, mine: MyCluster, run_script: ScriptRunner) -> Home:
            return Home(run_script, "mine", mine.env)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from taskproc.runs.ledger import read_ledger
from tests.support import PACKAGES, Ended, ScriptRunner, end_quietly, wait_for

# Every task that runs writes its name here, so that none that ran twice goes unseen.
_TASKS = """\
import os, signal, subprocess, sys, time
from pathlib import Path
from taskproc import Const, FailedTaskError, Req, Requires, RequiresList, TaskBase

HOME = Path({home!r})
RUN = {run!r}

def ran(name):
    with open(HOME / "ran", "a") as file:
        file.write(name + "\\n")

class Leaf(TaskBase):
    def __init__(self, i: int, seconds: float = 0.0):
        self.i, self.seconds = i, seconds
    def run_task(self) -> int:
        ran(f"leaf-{{self.i}}")
        time.sleep(self.seconds)
        return self.i

class Sum(TaskBase):
    parts: RequiresList[int]
    def __init__(self, count: int, seconds: float = 0.0):
        self.parts = [Leaf(i, seconds) for i in range(count)]
    def run_task(self) -> int:
        ran("sum")
        return sum(self.parts)

"""
Start = Callable[[str], "subprocess.Popen[str]"]


@dataclass
class Home:
    """Where scripts run as a user's would, with a cluster to submit to."""

    scripts: ScriptRunner
    backend: str
    env: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    seconds: float = 120.0

    def path(self, name: str) -> Path:
        return self.scripts.home / name

    def text(self, main: str) -> str:
        indented = "\n".join(f"    {line}" for line in main.strip().splitlines())
        run = {"backend": self.backend, "backend_options": dict(self.options)}
        return _TASKS.format(home=str(self.scripts.home), run=run) + f"if __name__ == '__main__':\n{indented}\n"

    def run(self, main: str, *, check: bool = True) -> Ended:
        return self.scripts(self.text(main), check=check, env=self.environment(), timeout=self.seconds)

    def start(self, main: str) -> subprocess.Popen[str]:
        script = self.scripts.write(self.text(main), "script.py")
        return self.scripts.start([sys.executable, str(script)], env=self.environment(), start_new_session=True)

    def environment(self) -> dict[str, str]:
        packages = [*PACKAGES, *self.packages, os.environ.get("PYTHONPATH", "")]
        return {**self.env, "PYTHONPATH": os.pathsep.join(filter(None, packages))}

    def ran(self) -> Counter[str]:
        path = self.path("ran")
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def sets(self) -> list[Path]:
        return sorted((self.scripts.cache / "taskproc" / ".runs").glob(f"*/{self.backend}/tp-*"))

    def submitted(self) -> list[Path]:
        return [staged for staged in self.sets() if (staged / "id").exists()]

    def filed(self) -> list[str]:
        """Name the sets that runs have filed, those that are gone included."""
        ledgers = (self.scripts.cache / "taskproc" / ".runs").glob("*/ledger.jsonl")
        entries = [entry for path in ledgers for entry in read_ledger(str(path))]
        return [Path(entry["set"]).name for entry in entries if entry["kind"] == "staged"]


class GraphsOnACluster:
    """What a graph may expect of every cluster."""

    @pytest.fixture
    def start(self, home: Home) -> Iterator[Start]:
        started: list[subprocess.Popen[str]] = []

        def start(main: str) -> subprocess.Popen[str]:
            started.append(home.start(main))
            return started[-1]

        yield start
        for process in started:
            end_quietly(process)

    def test_a_graph_runs(self, home: Home) -> None:
        done = home.run("print(Sum(5).run_graph(**RUN))")

        assert done.out.strip() == "10"
        assert len(home.filed()) == 2
        assert set(home.ran().values()) == {1}

    def test_one_graph_mixes_local_and_cluster_tasks(self, home: Home) -> None:
        done = home.run(
            """
class There(TaskBase, **RUN):
    def __init__(self): pass
    def run_task(self): return "there"
class Here(TaskBase):
    up: Requires[str]
    def __init__(self): self.up = There()
    def run_task(self): return self.up + " and here"
print(Here().run_graph())
"""
        )

        assert done.out.strip() == "there and here"
        assert len(home.filed()) == 1

    def test_a_failure_shows_its_traceback_and_output(self, home: Home) -> None:
        done = home.run(
            """
class Bad(TaskBase):
    def __init__(self): pass
    def run_task(self):
        print("on the way", file=sys.stderr)
        raise ValueError("the data are rotten")
Bad().run_graph(**RUN)
""",
            check=False,
        )

        assert done.code == 1
        assert "the data are rotten" in done.err
        assert "on the way" in done.err

    def test_a_crash_names_the_signal_and_disturbs_no_other(self, home: Home) -> None:
        done = home.run(
            """
class Crash(TaskBase):
    def __init__(self): pass
    def run_task(self): os.kill(os.getpid(), signal.SIGSEGV)
class All(TaskBase):
    parts: RequiresList[int]
    def __init__(self): self.parts = [Crash(), Leaf(1), Leaf(2)]
    def run_task(self): return sum(self.parts)
All().run_graph(on_error="continue", **RUN)
""",
            check=False,
        )

        assert done.code == 1
        assert "SIGSEGV" in done.err
        assert home.ran() == {"leaf-1": 1, "leaf-2": 1}

    def test_output_and_unicode_come_back(self, home: Home) -> None:
        done = home.run(
            """
class Says(TaskBase):
    def __init__(self): pass
    def run_task(self):
        print("grüße 日本")
        subprocess.run(["echo", "from a subprocess"], check=True)
        return "ø" * 3
task = Says()
print(ascii(task.run_graph(**RUN)))
print(ascii(task.task_stdout.read_text(encoding="utf-8")))
"""
        )

        assert done.out.splitlines()[0] == ascii("ø" * 3)
        assert ascii("grüße 日本").strip("'") in done.out
        assert "from a subprocess" in done.out

    def test_groups_of_tasks_share_an_element(self, home: Home) -> None:
        done = home.run("RUN['backend_options']['group_size'] = 10\nprint(Sum(30).run_graph(**RUN))")

        assert done.out.strip() == "435"
        assert set(home.ran().values()) == {1}

    def test_a_task_may_run_a_graph_that_needs_what_stands_behind_it_in_its_element(self, home: Home) -> None:
        done = home.run("""
class Nesting(TaskBase):
    def run_task(self) -> int:
        return Leaf(7).run_graph(backend="thread")
class Both(TaskBase):
    parts: RequiresList[int]
    def __init__(self):
        self.parts = [Nesting(), Leaf(7), Leaf(8)]
    def run_task(self) -> int:
        return sum(self.parts)
RUN['backend_options']['group_size'] = 3
print(Both().run_graph(**RUN))
""")

        assert done.out.strip() == "22"
        assert home.ran() == {"leaf-7": 1, "leaf-8": 1}

    def test_after_the_driver_was_killed_the_next_one_takes_up_its_jobs(self, home: Home, start: Start) -> None:
        main = "print(Sum(6, 4.0).run_graph(**RUN))"
        driver = start(main)
        wait_for(home.ran, "running tasks", 60)

        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        done = home.run(main)

        assert done.out.strip() == "15"
        assert set(home.ran().values()) == {1}, home.ran()

    def test_a_driver_killed_while_it_submits_loses_and_doubles_nothing(self, home: Home, start: Start) -> None:
        main = "print(Sum(6, 2.0).run_graph(**RUN))"
        driver = start(main)
        wait_for(home.sets, "a staged set", 60)

        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        done = home.run(main)

        assert done.out.strip() == "15"
        assert set(home.ran().values()) == {1}, home.ran()

    def test_ctrl_c_ends_the_jobs_and_does_not_wait_for_them(self, home: Home, start: Start) -> None:
        driver = start("Sum(8, 300.0).run_graph(**RUN)")
        wait_for(lambda: len(home.ran()) >= 2, "running tasks", 60)

        driver.send_signal(signal.SIGINT)
        driver.wait(timeout=100)

        ran = home.ran()
        time.sleep(6)
        assert "sum" not in ran
        assert len(home.ran()) <= len(ran) + 1

    def test_a_misspelt_option_is_refused_before_anything_is_submitted(self, home: Home) -> None:
        done = home.run("RUN['backend_options']['group_siz'] = 3\nLeaf(1).run_graph(**RUN)", check=False)

        assert "did you mean 'group_size'" in done.err
        assert home.sets() == []
