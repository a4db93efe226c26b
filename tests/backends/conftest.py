"""A stand-in scheduler, and drivers' backends over it, for the tests of the batch base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import BatchOptions

from tests.backends.batch_kit import Bench, MakeBench
from tests.backends.standin_scheduler import StandIn


@pytest.fixture
def site(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "site")


@pytest.fixture
def make_bench(tmp_path: Path, site: StandIn) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(scheduler: StandIn = site, timeout: float = 60.0, **options: Any) -> Bench:
        given = {"query_interval": 0.1, "latency_wait": 1.0, **options}
        made.append(Bench(tmp_path / "run", scheduler, BatchOptions(**given), timeout))
        return made[-1]

    site.site.mkdir()
    (tmp_path / "run").mkdir()
    yield make
    for bench in made:
        bench.backend.close(detach=False)
