"""A task behind a prefix command starts once, like any other, and keeps nothing once its attempt was taken back."""
from __future__ import annotations

import pickle
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskproc import TaskBase
from taskproc.plugin import Job, Outcome, cancel_execution, execute
from taskproc.runs.adoption import take_back, withdraw
from taskproc.testing import Bench, fresh_cache
from tests.support import wait_for

THREE_AT_ONCE = 'three() { "$@" & "$@" & "$@" & wait; }; three'


class Noted(TaskBase):
    """Notes that it runs, prints, and waits until a file exists if it has to."""

    def __init__(self, log: str, gate: str = ""):
        self.log = log
        self.gate = gate

    def run_task(self) -> int:
        print("from the older one")
        with open(self.log, "a") as file:
            file.write("ran\n")
        if self.gate:
            wait_for(Path(self.gate).exists, "gate", 60)
        return 1


class Prefixed(Noted, prefix_command="nice"):
    pass


class StartedThrice(Noted, prefix_command=THREE_AT_ONCE):
    pass


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path) -> Iterator[None]:
    with fresh_cache(tmp_path / "cache"):
        yield


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def bench_of(*tasks: TaskBase[Any], name: str = "prefix") -> Bench:
    return Bench(name, tasks, options={})


def run_element(bench: Bench, staged: Path) -> int:
    """Run a staged set's only element to its end, as a job's script does."""
    ended = subprocess.run(bench.staging.command(staged), stdin=subprocess.DEVNULL, timeout=60, check=False)
    (staged / f"ended/element-0-{ended.returncode}").touch()
    return ended.returncode


def content(job: Job) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in job.directory.iterdir() if path.is_file()}


def test_attempt_that_was_taken_back_does_not_start_and_leaves_what_took_its_place_alone(log: Path):
    with bench_of(Prefixed(str(log))) as bench:
        (job,) = bench.jobs
        staged = bench.staging.stage([[job]])
        assert take_back(str(job.directory), job.nonce)
        (job.directory / "attempt.running.newer").touch()
        (job.directory / "stdout.txt").write_text("from the newer one")
        before = content(job)
        run_element(bench, staged)
        assert content(job) == before
    assert not log.exists()


def test_attempt_that_was_withdrawn_while_it_ran_keeps_nothing(log: Path, tmp_path: Path):
    gate = tmp_path / "gate"
    with bench_of(Prefixed(str(log), str(gate))) as bench:
        (job,) = bench.jobs
        staged = bench.staging.stage([[job]])
        worker = subprocess.Popen(bench.staging.command(staged), stdin=subprocess.DEVNULL)
        wait_for(log.exists, "start of the task", 60)
        assert not withdraw(str(job.directory), job.nonce), "it had started"
        (job.directory / "stdout.txt").unlink(missing_ok=True)
        before = {name: text for name, text in content(job).items() if name not in ("stdout.txt", "stderr.txt")}
        gate.touch()
        assert worker.wait(60) == 1
        outcome = dict(bench.staging.ended(staged))[job.nonce]
        after = content(job)
    assert "another driver has taken this attempt over" in outcome.reason
    assert {name: text for name, text in after.items() if name not in ("stdout.txt", "stderr.txt")} == before
    assert b"caller log" not in after.get("stdout.txt", b""), "the logs are another attempt's now"


def test_attempt_whose_worker_is_started_once_more_is_lost_and_not_failed(log: Path):
    with bench_of(Prefixed(str(log))) as bench:
        (job,) = bench.jobs
        staged = bench.staging.stage([[job]])
        queued = job.directory / f"attempt.queued.{job.nonce}"
        queued.rename(queued.with_name(f"attempt.running.{job.nonce}"))
        run_element(bench, staged)
        assert dict(bench.staging.ended(staged))[job.nonce].kind == "lost"
    assert not log.exists()


def test_prefix_that_starts_several_workers_runs_the_task_once(log: Path):
    task = StartedThrice(str(log))
    assert task.run_graph() == 1
    assert log.read_text() == "ran\n"


def test_payload_that_a_system_runs_twice_is_begun_once(log: Path, tmp_path: Path):
    gate = tmp_path / "gate"
    with bench_of(Prefixed(str(log), str(gate)), name="thread") as bench:
        payload = bench.jobs[0].payload()
        ended: list[Outcome] = []
        first = threading.Thread(target=lambda: ended.append(execute(payload, "thread")))
        first.start()
        wait_for(log.exists, "start of the task", 60)
        assert execute(payload, "thread").kind == "lost"
        gate.touch()
        first.join(60)
        assert bench.has_result(bench.jobs[0])
    assert log.read_text() == "ran\n"
    assert [outcome.exit_code for outcome in ended] == [0]


def test_cancel_that_comes_before_the_process_keeps_it_from_starting(log: Path):
    with bench_of(Prefixed(str(log)), name="thread") as bench:
        payload = bench.jobs[0].payload()
        cancel_execution(bench.jobs[0].nonce)
        assert execute(payload, "thread").kind == "cancelled"
    assert not log.exists()


@pytest.mark.parametrize("name", ["thread", "prefix"])
def test_job_that_is_cancelled_on_its_way_to_a_process_does_not_run(name: str, log: Path):
    with bench_of(Prefixed(str(log)), name=name) as bench:
        (job,) = bench.jobs
        asked, cancelled = threading.Event(), threading.Event()

        def payload() -> bytes:
            asked.set()
            assert cancelled.wait(60)
            return job.payload()

        slow = replace(job, payload=payload)
        bench.submit([slow])
        assert asked.wait(60)
        bench.cancel([slow])
        cancelled.set()
        assert bench.outcome(slow).kind == "cancelled"
    assert not log.exists()


def test_worker_behind_a_prefix_that_a_signal_ends_leaves_its_mark(log: Path):
    class KillsItsShell(Noted, prefix_command='own() { "$@"; kill -9 $$; }; own'):
        def run_task(self) -> int:
            raise ValueError("as it should be")

    with bench_of(KillsItsShell(str(log))) as bench:
        (job,) = bench.jobs
        staged = bench.staging.stage([[job]])
        assert run_element(bench, staged) == 1
        outcome = dict(bench.staging.ended(staged))[job.nonce]
        failure = pickle.loads((job.directory / "failure.pkl").read_bytes())
    assert (outcome.kind, outcome.exit_code) == ("ended", 128 + 9)
    assert str(failure) == "as it should be"
