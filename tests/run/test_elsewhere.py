"""What becomes of the jobs that a killed run left on a cluster: followed if they are wanted, ended if not."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskproc import Requires, TaskBase
from taskproc.plugin import Job
from taskproc.runs.claims import Claims, standing
from taskproc.tasks.in_use import current_cache
from taskproc.testing import Bench
from tests.support import ScriptRunner, wait_for

PLUGIN = Path(__file__).parents[1] / "faults" / "standin_plugin.py"


class Part(TaskBase):
    def run_task(self) -> int:
        return 1


class Whole(TaskBase):
    part: Requires[int]

    def __init__(self) -> None:
        self.part = Part()

    def run_task(self) -> int:
        return self.part + 1


@pytest.fixture
def left_behind(cache: Path) -> Job:
    """Leave a filed job for `Part` behind, and its claim, as a killed run does."""
    with Bench("prefix", [Part()], options={}) as bench:
        bench.staging.stage([bench.jobs])
        runs, (job,) = current_cache().runs, bench.jobs
        claims = Claims(runs, bench._run.run, standing(runs))
        claims.acquire([(Part()._task.digest, job.nonce)])
        claims._connection.close()
    return job


def is_queued(job: Job) -> bool:
    return (job.directory / f"attempt.queued.{job.nonce}").exists()


def claims_left() -> list[object]:
    claims = Claims(current_cache().runs, "a look", standing(current_cache().runs))
    try:
        return list(claims.held([Part()._task.digest]).values())
    finally:
        claims.close()


def test_job_for_a_task_that_need_not_run_any_more_is_withdrawn(cache: Path, request: pytest.FixtureRequest):
    Part().run_graph(backend="thread")
    job: Job = request.getfixturevalue("left_behind")
    assert is_queued(job)
    assert Whole().run_graph(backend="thread") == 2
    assert not is_queued(job)
    assert claims_left() == []


def test_job_whose_backend_cannot_follow_it_is_withdrawn_and_its_task_runs(left_behind: Job):
    assert Whole().run_graph(backend="thread") == 2
    assert not is_queued(left_behind)
    assert claims_left() == []


STEPS = """
import os, sys, time
from taskproc import RequiresList, TaskBase

def note(text):
    with open(HOME + "/bodies", "a") as file:
        file.write(text + "\\n")

HOME = os.path.dirname(os.path.abspath(__file__))

class Step(TaskBase, channel="licence"):
    def __init__(self, n: int):
        self.n = n
    def run_task(self) -> int:
        note(f"begin {self.n}")
        while not os.path.exists(HOME + "/go"):
            time.sleep(0.05)
        note(f"end {self.n}")
        return self.n

class Steps(TaskBase):
    steps: RequiresList[int]
    def __init__(self, count: int):
        self.steps = [Step(n) for n in range(count)]
    def run_task(self) -> int:
        return sum(self.steps)

if __name__ == "__main__":
    options = {"query_interval": 0.1, "latency_wait": 5.0} if sys.argv[1] == "standin" else {}
    count, limits = int(sys.argv[2]), {"licence": 1}
    print(Steps(count).run_graph(backend=sys.argv[1], backend_options=options, rate_limits=limits))
"""


class Killed:
    """A run on the stand-in cluster that was killed when its first task had begun."""

    def __init__(self, runner: ScriptRunner, tmp_path: Path, count: int) -> None:
        self.home = runner.home
        (self.home / "steps.py").write_text(STEPS)
        (self.home / "taskproc.toml").write_text(f"plugins = [{str(PLUGIN)!r}]\n")
        site = tmp_path / "site"
        site.mkdir()
        self.env = runner.environment({"TP_FAULT_SITE": str(site)})
        self.count = str(count)
        first = self.start("standin")
        wait_for((self.home / "bodies").exists, "start of a task", 60)
        first.kill()
        first.communicate(timeout=60)

    def start(self, backend: str) -> subprocess.Popen[str]:
        command = [sys.executable, "steps.py", backend, self.count]
        return subprocess.Popen(command, cwd=self.home, env=self.env, text=True, stdout=subprocess.PIPE)

    def go_on(self, backend: str) -> list[str]:
        """Run again, and give what the tasks noted in both runs."""
        again = self.start(backend)
        (self.home / "go").touch()
        answer, _ = again.communicate(timeout=120)
        assert answer == f"{sum(range(int(self.count)))}\n"
        return (self.home / "bodies").read_text().splitlines()


def test_job_of_a_killed_run_counts_in_the_rate_limits(run_script: ScriptRunner, tmp_path: Path):
    noted = Killed(run_script, tmp_path, 4).go_on("standin")
    assert sorted(noted[::2]) == [f"begin {n}" for n in range(4)]
    assert all(begin.replace("begin", "end") == end for begin, end in zip(noted[::2], noted[1::2], strict=True))


def test_job_of_a_killed_run_is_followed_though_the_next_one_asks_for_another_backend(
    run_script: ScriptRunner, tmp_path: Path
):
    noted = Killed(run_script, tmp_path, 1).go_on("thread")
    assert noted == ["begin 0", "end 0"]
