"""The backends under test, and what each can promise."""
from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import run_and_count


@dataclass
class Way:
    """One way to run tasks.

    Attributes:
        how: The arguments of `run_graph` that choose it.
        apart: Tasks run in processes other than the driver's.
        ours: The processes are taskproc's own, so that the death of one hurts no other task.
    """

    name: str
    apart: bool
    ours: bool
    how: dict[str, Any] = field(default_factory=dict)

    def run(self, task: Any, **more: Any) -> Any:
        """Run a task's graph."""
        return task.run_graph(**self.how, **more)

    def count(self, task: Any, **more: Any) -> tuple[Any, int]:
        """Run a task's graph; give the result and how many tasks ran."""
        return run_and_count(task, **self.how, **more)

    @property
    def pooled(self) -> bool:
        """Whether the caller brings the workers."""
        return "executor" in self.how


BACKENDS = ["thread", "process", "prefix", "local"]
POOLS = ["thread pool", "process pool"]


def make_pool(name: str, size: int) -> Executor:
    """Make a pool as a user would."""
    if name == "thread pool":
        return ThreadPoolExecutor(size)
    return ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn"))


def make_way(name: str, pool: Executor | None) -> Way:
    """Describe a backend or a pool."""
    apart = name not in ("thread", "thread pool")
    if pool is not None:
        return Way(name, apart, False, {"executor": pool})
    return Way(name, apart, apart, {"backend": name, "max_workers": 2})


@pytest.fixture(scope="session")
def pools() -> Iterator[dict[str, Executor]]:
    """Keep one pool of a kind for all tests, as a long session of a user would."""
    made = {name: make_pool(name, 2) for name in POOLS}
    yield made
    for pool in made.values():
        pool.shutdown()


@pytest.fixture(params=[*BACKENDS, *POOLS])
def way(request: pytest.FixtureRequest, pools: dict[str, Executor], cache: Path) -> Way:
    """Run the test on every backend."""
    return make_way(request.param, pools.get(request.param))


@pytest.fixture(params=["process", "prefix", "local"])
def way_of_our_own(request: pytest.FixtureRequest, cache: Path) -> Way:
    """Run the test on every backend that starts worker processes itself."""
    return make_way(request.param, None)
