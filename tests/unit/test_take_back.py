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
        subprocess.run(bench.staging.command(staged), stdin=subprocess.DEVNULL, check=True, timeout=60)
    assert log.exists() is not cancelled
