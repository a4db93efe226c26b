"""Whole graphs on real Slurm daemons: run, fail, are killed, cancelled, left alone and taken up again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import taskproc_slurm

from taskproc.runs.ledger import read_ledger
from tests.clusters.slurm import SlurmCluster
from tests.support import PACKAGES, Ended, ScriptRunner, end_quietly, wait_for

# Every task that runs writes its name here, so that none that ran twice goes unseen.
_TASKS = """\
import os, signal, subprocess, sys, time
from pathlib import Path
from taskproc import Const, FailedTaskError, Req, Requires, RequiresList, TaskBase

HOME = Path({home!r})

def ran(name):
    with open(HOME / "ran", "a") as file:
        file.write(name + "\\n")

class Leaf(TaskBase):
    def __init__(self, i: int, seconds: float = 0.0):
        pass
    def run_task(self) -> int:
        ran(f"leaf-{{self.i}}")
        time.sleep(self.seconds)
        return self.i
    i = property(lambda self: self.task_args["i"])
    seconds = property(lambda self: self.task_args["seconds"])

class Sum(TaskBase):
    parts: RequiresList[int]
    def __init__(self, count: int, seconds: float = 0.0):
        self.parts = [Leaf(i, seconds) for i in range(count)]
    def run_task(self) -> int:
        ran("sum")
        return sum(self.parts)
"""


# What a node wrote is here at once, so that an end without a mark need not wait half a minute to be believed.
_SETTINGS = """\
plugins = ["taskproc_slurm"]

[backends.slurm]
latency_wait = 3.0
"""


@dataclass
class Home:
    """Where scripts run as a user's would, with a Slurm to submit to."""

    scripts: ScriptRunner
    cluster: SlurmCluster

    def path(self, name: str) -> Path:
        return self.scripts.home / name

    def text(self, main: str) -> str:
        indented = "\n".join(f"    {line}" for line in main.strip().splitlines())
        return _TASKS.format(home=str(self.scripts.home)) + f"\nif __name__ == '__main__':\n{indented}\n"

    def run(self, main: str, *, check: bool = True, path: str = "") -> Ended:
        return self.scripts(self.text(main), check=check, env=self.env(path), timeout=180)

    def start(self, main: str, path: str = "") -> subprocess.Popen[str]:
        script = self.scripts.write(self.text(main), "script.py")
        return self.scripts.start([sys.executable, str(script)], env=self.env(path), start_new_session=True)

    def env(self, path: str = "") -> dict[str, str]:
        own = self.cluster.env
        packages = [str(Path(taskproc_slurm.__path__[0]).parent), os.environ.get("PYTHONPATH", "")]
        return {
            **own,
            "PATH": os.pathsep.join(filter(None, [path, own["PATH"]])),
            "PYTHONPATH": os.pathsep.join([*PACKAGES, *filter(None, packages)]),
        }

    def ran(self) -> Counter[str]:
        path = self.path("ran")
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def sets(self) -> list[Path]:
        return sorted((self.scripts.cache / "taskproc" / ".runs").glob("*/slurm/tp-*"))

    def submitted(self) -> list[Path]:
        return [staged for staged in self.sets() if (staged / "id").exists()]

    def filed(self) -> list[str]:
        """Name the sets that runs have filed, those that are gone included."""
        ledgers = (self.scripts.cache / "taskproc" / ".runs").glob("*/ledger.jsonl")
        entries = [entry for path in ledgers for entry in read_ledger(str(path))]
        return [Path(entry["set"]).name for entry in entries if entry["kind"] == "staged"]

    def elements(self) -> set[str]:
        """Give the ids of the elements that Slurm took."""
        ledgers = (self.scripts.cache / "taskproc" / ".runs").glob("*/ledger.jsonl")
        entries = [entry for path in ledgers for entry in read_ledger(str(path))]
        return {entry["id"] for entry in entries if entry["kind"] == "accepted"}

    def queue(self) -> list[str]:
        return self.cluster.run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()

    def wrapper(self, program: str, text: str) -> str:
        """Put a faulty client before the real one; return the directory for PATH."""
        directory = self.path("faulty")
        directory.mkdir(exist_ok=True)
        real = shutil.which(program, path=self.cluster.env["PATH"])
        (directory / program).write_text(f"#!/bin/bash\nreal={real}\n{text}")
        (directory / program).chmod(0o755)
        return str(directory)


@pytest.fixture
def home(breakable_slurm: SlurmCluster, run_script: ScriptRunner) -> Home:
    (run_script.home / "taskproc.toml").write_text(_SETTINGS)
    return Home(run_script, breakable_slurm)


@pytest.fixture
def start(home: Home) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(main: str, path: str = "") -> subprocess.Popen[str]:
        started.append(home.start(main, path))
        return started[-1]

    yield start
    for process in started:
        end_quietly(process)


def test_a_graph_runs_on_slurm(home: Home) -> None:
    done = home.run("print(Sum(5).run_graph(backend='slurm'))")

    assert done.out.strip() == "10"
    assert len(home.filed()) == 2


def test_one_graph_mixes_local_and_cluster_tasks(home: Home) -> None:
    done = home.run(
        """
class Here(TaskBase):
    up: Requires[str]
    def __init__(self): self.up = There()
    def run_task(self): return [self.up, os.environ.get("SLURM_JOB_ID", "no job")]
class There(TaskBase, backend="slurm", backend_options={"partition": "gpu", "cpus": 2, "mem": "100M", "gpus": 1}):
    def __init__(self): pass
    def run_task(self): return os.environ["SLURM_JOB_PARTITION"] + os.environ["SLURM_CPUS_PER_TASK"]
print(Here().run_graph())
"""
    )

    assert done.out.strip() == "['gpu2', 'no job']"


def test_a_failure_shows_its_traceback(home: Home) -> None:
    done = home.run(
        """
class Bad(TaskBase):
    def __init__(self): pass
    def run_task(self):
        print("on the way", file=sys.stderr)
        raise ValueError("the data are rotten")
Bad().run_graph(backend="slurm")
""",
        check=False,
    )

    assert done.code == 1
    assert "the data are rotten" in done.err
    assert "on the way" in done.err


def test_a_crash_names_the_signal(home: Home) -> None:
    done = home.run(
        """
class Crash(TaskBase):
    def __init__(self): pass
    def run_task(self): os.kill(os.getpid(), signal.SIGSEGV)
Crash().run_graph(backend="slurm")
""",
        check=False,
    )

    assert done.code == 1
    assert "SIGSEGV" in done.err


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_hundreds_of_ready_tasks_are_a_handful_of_submissions(home: Home, count: int) -> None:
    done = home.run(f"print(Sum({count}).run_graph(backend='slurm'))")

    assert done.out.strip() == str(sum(range(count)))
    assert len(home.filed()) <= 4
    assert set(home.ran().values()) == {1}


def test_groups_of_tasks_share_a_worker(home: Home) -> None:
    done = home.run("print(Sum(200).run_graph(backend='slurm', backend_options={'group_size': 100}))")

    assert done.out.strip() == "19900"
    assert len(home.elements()) <= 3


def test_a_prefix_that_starts_three_workers_runs_the_task_once(home: Home) -> None:
    done = home.run(
        """
class Once(TaskBase, prefix_command="srun -n3"):
    def __init__(self): pass
    def run_task(self):
        ran("once")
        return os.environ["SLURM_NTASKS"]
print(Once().run_graph(backend="slurm", backend_options={"ntasks": 3}))
"""
    )

    assert done.out.strip() == "3"
    assert home.ran() == {"once": 1}


def test_a_task_may_start_its_own_parallel_program(home: Home) -> None:
    done = home.run(
        """
class Mpi(TaskBase):
    def __init__(self): pass
    def run_task(self):
        ran("mpi")
        return subprocess.run(["srun", "bash", "-c", "echo $SLURM_PROCID"], capture_output=True, text=True).stdout
print(sorted(Mpi().run_graph(backend="slurm", backend_options={"ntasks": 3}).split()))
"""
    )

    assert done.out.strip() == "['0', '1', '2']"
    assert home.ran() == {"mpi": 1}


def test_a_refused_option_fails_the_task_in_slurms_words(home: Home) -> None:
    done = home.run("Leaf(1).run_graph(backend='slurm', backend_options={'partition': 'gpuu'})", check=False)

    assert "Invalid partition name specified" in done.err


def test_a_misspelt_option_is_refused_before_anything_is_submitted(home: Home) -> None:
    done = home.run("Leaf(1).run_graph(backend='slurm', backend_options={'partion': 'gpu'})", check=False)

    assert "did you mean 'partition'" in done.err
    assert home.sets() == []


def test_a_failed_node_costs_no_task(home: Home, start: Callable[..., subprocess.Popen[str]]) -> None:
    driver = start("print(Sum(6, 8.0).run_graph(backend='slurm', backend_options={'cpus': 4}))")
    wait_for(lambda: len(home.ran()) >= 6, "running tasks", 90)

    home.cluster.kill_node("n1")
    home.cluster.mark_down("n1")

    out, err = driver.communicate(timeout=120)
    assert (driver.returncode, out.strip()) == (0, "15"), err


def test_the_controller_is_restarted_in_the_middle(home: Home, start: Callable[..., subprocess.Popen[str]]) -> None:
    driver = start("print(Sum(6, 4.0).run_graph(backend='slurm'))")
    wait_for(lambda: len(home.ran()) >= 6, "running tasks", 90)

    home.cluster.stop_controller()
    time.sleep(5)  # which is longer than the tasks take
    home.cluster.start_controller()

    out, err = driver.communicate(timeout=120)
    assert (driver.returncode, out.strip()) == (0, "15"), err
    assert set(home.ran().values()) == {1}


_ADOPTED = "print(Sum(8, 4.0).run_graph(backend='slurm'))"


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda home: home.sets(), id="staged"),
        pytest.param(lambda home: home.submitted(), id="submitted"),
        pytest.param(lambda home: home.ran(), id="running"),
        pytest.param(lambda home: any(list(staged.glob("ended/*")) for staged in home.sets()), id="ended"),
    ],
)
def test_after_the_driver_was_killed_the_next_one_takes_up_its_jobs(
    home: Home, start: Callable[..., subprocess.Popen[str]], moment: Callable[[Home], object]
) -> None:
    driver = start(_ADOPTED)
    wait_for(lambda: moment(home), "such moment", 60)

    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = home.run(_ADOPTED)

    assert done.out.strip() == "28"
    assert set(home.ran().values()) == {1}, home.ran()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param('touch answer-due; answer=$("$real" "$@"); sleep 3; echo "$answer"', id="before the answer"),
        pytest.param('touch answer-due; sleep 4; exec "$real" "$@"', id="before it landed"),
    ],
)
def test_a_submission_of_a_killed_driver_is_found(
    home: Home, start: Callable[..., subprocess.Popen[str]], fault: str
) -> None:
    driver = start(_ADOPTED, home.wrapper("sbatch", fault))
    wait_for(home.path("answer-due").exists, "sbatch", 60)
    time.sleep(1)

    driver.send_signal(signal.SIGKILL)
    driver.wait()
    done = home.run(_ADOPTED)

    assert done.out.strip() == "28"
    assert set(home.ran().values()) == {1}, home.ran()


def test_ctrl_c_ends_the_jobs_and_does_not_wait_for_them(
    home: Home, start: Callable[..., subprocess.Popen[str]]
) -> None:
    driver = start("Sum(20, 300.0).run_graph(backend='slurm')")
    wait_for(lambda: len(home.ran()) >= 3, "running tasks", 90)

    driver.send_signal(signal.SIGINT)
    driver.wait(timeout=100)

    wait_for(lambda: not home.queue(), "empty queue", 60)


def test_detached_jobs_are_taken_up_by_the_next_run(home: Home, start: Callable[..., subprocess.Popen[str]]) -> None:
    main = """
from taskproc.run.request import RunRequest
from taskproc.run.run import run
print(run(Sum(8, 6.0), RunRequest(backend="slurm", detach=True))[0])
"""
    driver = start(main)
    wait_for(lambda: len(home.ran()) >= 8, "running tasks", 90)
    driver.send_signal(signal.SIGINT)
    driver.wait(timeout=30)
    assert home.queue()

    done = home.run(main)

    assert done.out.strip() == "28"
    assert set(home.ran().values()) == {1}


def test_a_memory_kill_says_what_to_ask_for(home: Home) -> None:
    done = home.run(
        """
class Hungry(TaskBase):
    def __init__(self): pass
    def run_task(self):
        x = b"a" * (400 << 20)
        time.sleep(30)
Hungry().run_graph(backend="slurm", backend_options={"mem": "150M"})
""",
        check=False,
    )

    assert "was killed on n" in done.err
    assert "after exceeding its " in done.err
    assert "ask for more with mem=" in done.err


class TestWithAccounting:
    @pytest.fixture
    def breakable_slurm(self, slurm_accounting: SlurmCluster) -> Iterator[SlurmCluster]:
        yield slurm_accounting
        slurm_accounting.heal()

    def test_resources_may_grow_with_the_attempt(self, home: Home) -> None:
        done = home.run(
            """
class Hungry(TaskBase, retries=1, backend_options=lambda task, attempt: {"mem": f"{150 * 8 ** attempt}M"}):
    def __init__(self): pass
    def run_task(self):
        ran("hungry")
        x = b"a" * (400 << 20)
        time.sleep(4)
        return "fed"
print(Hungry().run_graph(backend="slurm"))
"""
        )

        assert done.out.strip() == "fed"


def test_what_a_script_defines_and_sets_up_is_there_on_slurm(home: Home) -> None:
    home.path("taskproc.toml").write_text(_SETTINGS + '\n[worker]\nsetup = "mine:setup"\n')
    home.path("mine.py").write_text("calls = []\ndef setup(): calls.append(1)\n")
    done = home.run(
        """
import decimal, enum, mine
decimal.getcontext().prec = 5
class Color(enum.Enum):
    RED = 1
class Outer:
    class Inner: pass
class Paint(TaskBase):
    def __init__(self):
        self.numbers = {Color.RED: 3}
    def run_task(self):
        return self.numbers[Color.RED], Outer.Inner(), str(decimal.Decimal(1) / 3), len(mine.calls), lambda: 1
class Look(TaskBase):
    painted: Requires
    def __init__(self):
        self.painted = Paint()
    def run_task(self):
        number, inner, third, calls, _ = self.painted
        return number, isinstance(inner, Outer.Inner), third, calls
print(Look().run_graph(backend="slurm"))
"""
    )

    assert done.out.strip() == "(3, True, '0.33333', 1)"
