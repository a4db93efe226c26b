"""A cancelled attempt that was filed never starts, even if its scheduler starts it once more."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskproc import TaskBase
from taskproc.runs.adoption import withdraw
from taskproc.testing import Bench, fresh_cache
from taskproc.testing.tasks import Notes
from tests.support import wait_for


class Waits(TaskBase):
    def __init__(self, gate: str):
        self.gate = gate

    def run_task(self) -> None:
        Path(f"{self.gate}.reached").touch()
        wait_for(Path(self.gate).exists, "gate", 60)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path) -> Iterator[None]:
    with fresh_cache(tmp_path / "cache"):
        yield


@pytest.mark.parametrize("cancelled", [True, False])
def test_attempt_that_was_taken_back_does_not_start(tmp_path: Path, cancelled: bool):
    log = tmp_path / "log"
    with Bench("prefix", [Notes(str(log), "ran")], options={}) as bench:
        staged = bench.staging.stage([bench.jobs])
        if cancelled:
            bench.cancel(bench.jobs)
        subprocess.run(bench.staging.command(staged), stdin=subprocess.DEVNULL, check=False, timeout=60)
    assert log.exists() is not cancelled


def test_attempt_that_was_withdrawn_while_it_ran_keeps_nothing(tmp_path: Path):
    gate = tmp_path / "gate"
    with Bench("prefix", [Waits(str(gate))], options={}) as bench:
        (job,) = bench.jobs
        staged = bench.staging.stage([[job]])
        worker = subprocess.Popen(bench.staging.command(staged), stdin=subprocess.DEVNULL)
        wait_for(lambda: Path(f"{gate}.reached").exists(), "start of the task", 60)
        assert not withdraw(str(job.directory), job.nonce), "it had started"
        gate.touch()
        worker.wait(60)
        outcome = dict(bench.staging.ended(staged))[job.nonce]
        assert not bench.has_result(job)
    assert outcome.exit_code == 1
    assert "another driver has taken this attempt over" in outcome.reason


def test_worker_started_once_more_gives_up_what_the_first_had_begun_and_does_the_rest(tmp_path: Path):
    log = tmp_path / "log"
    with Bench("prefix", [Notes(str(log), "begun"), Notes(str(log), "waiting")], options={}) as bench:
        begun, waiting = bench.jobs
        staged = bench.staging.stage([bench.jobs])
        queued = begun.directory / f"attempt.queued.{begun.nonce}"
        queued.rename(queued.with_name(f"attempt.running.{begun.nonce}"))
        ended = subprocess.run(bench.staging.command(staged), stdin=subprocess.DEVNULL, timeout=60, check=False)
        (staged / f"ended/element-0-{ended.returncode}").touch()  # as the job's script does
        outcomes = dict(bench.staging.ended(staged))
    assert log.read_text().split() == ["waiting"]
    assert outcomes[waiting.nonce].exit_code == 0
    assert outcomes[begun.nonce].kind == "lost", "it is nobody's failure, and another attempt may succeed"
