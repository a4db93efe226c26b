"""Several drivers on one cache, some of them killed: each task runs once per needed result, and all get the answer."""
from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults import census, graph, tables
from tests.faults.nursery import Nursery, Started
from tests.support import wait_for

_LOST_WITH_A_DRIVER = {"tree": 4, "packed": 40}  # what runs, or is handed back and not committed in the last instants


class Crowd:
    """Drivers on overlapping graphs."""

    def __init__(self, nursery: Nursery, cache: Path, backend: str, store: str) -> None:
        self.nursery = nursery
        self.cache = cache
        self.backend = backend
        self.store = store

    def start(self, number: int) -> Started:
        """Start the driver of this number's graph."""
        start = number % 3 * 4
        return self.nursery.start("crowd", self.cache, self.backend, start, start + 12, env={"TP_STORE": self.store})

    def runs(self) -> Counter[str]:
        """Count how often each task's body ran."""
        return Counter(Path(f"{self.cache}.count").read_text().splitlines())

    def check(self, drivers: list[Started]) -> None:
        """Wait for all, and see that each got its answer and that nothing is left over."""
        for number, driver in enumerate(drivers):
            driven = self.nursery.finish(driver, timeout=240)
            start = number % 3 * 4
            assert driven.answer == graph.crowd_answer(start, start + 12), driven.output
        assert not self.nursery.strays(60)
        assert not census.take(self.cache).problems


@pytest.fixture(params=[("process", "tree"), ("process", "packed"), ("thread", "tree")], ids="-".join)
def crowd(request: pytest.FixtureRequest, nursery: Nursery, tmp_path: Path) -> Crowd:
    """Give a place for many drivers."""
    return Crowd(nursery, tmp_path / "cache", *request.param)


@pytest.mark.slow
def test_ten_drivers_run_each_task_once(crowd: Crowd):
    drivers = [crowd.start(number) for number in range(10)]
    crowd.check(drivers)
    assert set(crowd.runs().values()) == {1}
    assert census.claims(crowd.cache) == (0, 0)


@pytest.mark.parametrize("table", ["rows", "ids"])
def test_ten_drivers_make_a_table_at_once(nursery: Nursery, tmp_path: Path, table: str):
    for number in range(4):
        directory = tmp_path / str(number)
        given: dict[str, Any] = {"module": "tests.faults.tables"}
        drivers = [nursery.start("at once", directory, str(directory), table, **given) for _ in range(10)]
        time.sleep(0.05)
        Path(f"{directory}.now").touch()
        ends = [nursery.finish(driver) for driver in drivers]
        assert {end.status for end in ends} == {0}, "".join(end.output for end in ends)
        found = nursery.drive(f"read {table}", directory, str(directory), **given)
        assert found.answer == list(range(tables.GROUP)), found.output


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(2, 12))])
def test_ten_drivers_of_which_some_are_killed(crowd: Crowd, seed: int):
    chance = random.Random(seed)
    drivers = [crowd.start(number) for number in range(10)]
    kills = 0
    for _ in range(8):
        time.sleep(chance.uniform(0.05, 0.8))
        victim = chance.randrange(10)
        if crowd.nursery.kill(drivers[victim]):
            kills += 1
            crowd.nursery.finish(drivers[victim])
            drivers[victim] = crowd.start(victim)
    crowd.check(drivers)
    repeated = sum(count - 1 for count in crowd.runs().values())
    assert repeated <= kills * _LOST_WITH_A_DRIVER[crowd.store]
    last = crowd.start(1)
    crowd.check([crowd.start(0), last])
    assert not [path for path in census.left_behind(crowd.cache) if path.endswith(".tmp")]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["tree", "packed"])
def test_job_of_a_killed_driver_is_followed_and_not_started_again(nursery: Nursery, tmp_path: Path, store: str):
    cache, site = tmp_path / "cache", tmp_path / "site"
    site.mkdir()
    env = {"TP_FAULT_LONG": "4", "TP_FAULT_SITE": str(site), "TP_STORE": store}
    first = nursery.start("long", cache, "standin", env=env)
    wait_for(lambda: Path(f"{cache}.count").exists(), "start of the task", 60)
    nursery.kill(first)
    nursery.finish(first)
    again = nursery.drive("long", cache, "standin", env=env)
    assert again.answer == "long", again.output
    assert nursery.drive("long", cache, "standin", env=env).answer == "long"
    assert Path(f"{cache}.count").read_text().splitlines() == ["Long()"]
    assert not census.left_behind(cache)
    assert census.claims(cache) == (0, 0)


@pytest.mark.slow
def test_nobody_waits_long_for_a_dead_driver_whose_worker_does_not_die(nursery: Nursery, tmp_path: Path):
    cache = tmp_path / "cache"
    first = nursery.start("long", cache, "process", env={"TP_FAULT_LONG": "600"})
    wait_for(lambda: Path(f"{cache}.count").exists(), "start of the task", 60)
    workers = psutil.Process(first.pid).children()
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    nursery.kill(first)
    nursery.finish(first)
    again = nursery.drive("long", cache, "process")
    assert again.answer == "long"
    for worker in workers:
        os.kill(worker.pid, signal.SIGCONT)
    assert not nursery.strays(60)
    assert nursery.drive("long", cache, "process").answer == "long"
