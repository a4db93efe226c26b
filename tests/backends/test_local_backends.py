"""The backends of this machine where the machine, or what they are given, is not as it should be."""
from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from taskproc_backends import process

from taskproc import TaskBase
from taskproc.plugin import Job
from taskproc.testing import Bench, fresh_cache
from tests.support import ScriptRunner, wait_for

MANY = """
    import resource
    import time
    from taskproc import RequiresList, TaskBase

    class Step(TaskBase):
        def __init__(self, n: int):
            self.n = n

        def run_task(self) -> int:
            time.sleep(0.05)
            return self.n

    class Main(TaskBase):
        steps: RequiresList[int]

        def __init__(self):
            self.steps = [Step(n) for n in range(30)]

        def run_task(self) -> int:
            return sum(self.steps)

    if __name__ == "__main__":
        resource.setrlimit(resource.RLIMIT_NOFILE, (44, 44))
        print(Main().run_graph(backend="process", max_workers=30))
"""


class Gives(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class WaitsFor(TaskBase):
    def __init__(self, gate: str):
        self.gate = gate

    def run_task(self) -> None:
        wait_for(Path(self.gate).exists, "gate", 60)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path) -> Iterator[None]:
    with fresh_cache(tmp_path / "cache"):
        yield


def bench_of(name: str, tasks: list[TaskBase[Any]], max_workers: int = 2) -> Bench:
    return Bench(name, tasks, options={}, max_workers=max_workers, patience=30)


def refusing(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, granted: int = 0
) -> None:
    """Have the system refuse a call, after some that it grants."""
    real, calls = getattr(owner, name), []

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > granted:
            raise error
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, call)


# --- too little of something ---


def test_too_few_descriptors_for_all_workers_make_do_with_fewer(run_script: ScriptRunner):
    assert run_script(MANY).out == "435\n"


@pytest.mark.parametrize("error", [BlockingIOError(11, "no more processes"), MemoryError()], ids=["EAGAIN", "ENOMEM"])
def test_one_worker_does_the_work_of_those_that_the_system_refuses(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
):
    refusing(monkeypatch, subprocess, "Popen", error, granted=1)
    with bench_of("process", [Gives(n) for n in range(8)], max_workers=4) as bench:
        bench.submit()
        assert [outcome.exit_code for outcome in bench.outcomes()] == [0] * 8


def test_jobs_fail_by_the_systems_word_if_no_worker_can_be_started(monkeypatch: pytest.MonkeyPatch):
    refusing(monkeypatch, subprocess, "Popen", OSError(24, "Too many open files"))
    monkeypatch.setattr(process, "_TRY_AGAIN", 0.01)
    with bench_of("process", [Gives(n) for n in range(3)]) as bench:
        bench.submit()
        outcomes = bench.outcomes()
    assert {outcome.kind for outcome in outcomes} == {"rejected"}
    assert all("Too many open files" in outcome.reason for outcome in outcomes)


@pytest.mark.parametrize("name", ["thread", "prefix"])
def test_one_thread_does_the_work_of_those_that_the_system_refuses(name: str, monkeypatch: pytest.MonkeyPatch):
    with bench_of(name, [Gives(n) for n in range(4)], max_workers=4) as bench:
        refusing(monkeypatch, threading.Thread, "start", RuntimeError("can't start new thread"), granted=1)
        bench.submit()
        outcomes = bench.outcomes()
    assert [outcome.exit_code for outcome in outcomes] == [0] * 4


@pytest.mark.parametrize("name", ["thread", "prefix"])
def test_jobs_are_not_taken_if_no_thread_can_be_started(name: str, monkeypatch: pytest.MonkeyPatch):
    with bench_of(name, [Gives(0)], max_workers=4) as bench:
        refusing(monkeypatch, threading.Thread, "start", RuntimeError("can't start new thread"))
        with pytest.raises(RuntimeError):
            bench.call("submit", bench.jobs)
        assert not bench.report.accepted_ids


# --- threads that end, end in reports ---


def test_jobs_are_lost_if_the_thread_that_feeds_workers_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    tasks = [WaitsFor(str(tmp_path / "never")), *[Gives(n) for n in range(2)]]
    with bench_of("process", tasks, max_workers=1) as bench:
        begun, *others = bench.jobs
        bench.submit([begun])
        assert bench.report.wait(lambda: begun.nonce in bench.report.started_on, 30)
        refusing(monkeypatch, process.ProcessBackend, "_hand_out", ZeroDivisionError("a fault of ours"))
        bench.submit(others[:1])
        lost = bench.outcomes([begun, others[0]])
        bench.submit(others[1:])
        late = bench.outcome(others[1])
    assert [outcome.kind for outcome in lost] == ["lost", "lost"]
    assert late.kind in ("lost", "rejected")
    assert all("a fault of ours" in outcome.reason for outcome in [*lost, late])


@pytest.mark.parametrize("name", ["process", "thread", "prefix"])
def test_payload_that_cannot_be_made_rejects_its_job_alone(name: str):
    def make() -> NoReturn:
        raise SystemExit("called by a class of the user's")

    with bench_of(name, [Gives(0), Gives(1)], max_workers=1) as bench:
        wrong, right = bench.jobs
        bench.submit([replace(wrong, payload=make), right])
        outcomes = bench.outcomes()
    assert [(outcome.kind, outcome.exit_code) for outcome in outcomes] == [("rejected", None), ("ended", 0)]
    assert "called by a class of the user's" in outcomes[0].reason


# --- who gets what ---


def thought_short(jobs: list[Job]) -> list[Job]:
    return [replace(job, expected=1e-4) for job in jobs]


def test_what_waits_behind_a_job_that_takes_longer_than_thought_goes_to_who_is_idle(tmp_path: Path):
    gate = tmp_path / "gate"
    with bench_of("process", [WaitsFor(str(gate)), *[Gives(n) for n in range(40)]]) as bench:
        long, *short = thought_short(bench.jobs)
        bench.submit([long, *short])
        assert {outcome.exit_code for outcome in bench.outcomes(short)} == {0}
        assert long.nonce not in bench.report.outcomes
        gate.touch()
        assert bench.outcome(long).exit_code == 0


def test_cancelled_job_that_waits_behind_another_does_not_cost_that_one_its_worker(tmp_path: Path):
    gate = tmp_path / "gate"
    with bench_of("process", [WaitsFor(str(gate)), Gives(1)], max_workers=1) as bench:
        running, waiting = thought_short(bench.jobs)
        bench.submit([running, waiting])
        assert bench.report.wait(lambda: running.nonce in bench.report.started_on, 30)
        bench.cancel([waiting])
        assert bench.outcome(waiting).kind == "cancelled"
        gate.touch()
        assert bench.outcome(running).exit_code == 0
