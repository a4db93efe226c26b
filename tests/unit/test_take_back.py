"""A cancelled attempt that was filed never starts, even if its scheduler starts it once more."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskproc.testing import Bench, fresh_cache
from taskproc.testing.tasks import Notes


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
