"""Much of everything: nothing grows from run to run, and a million tasks fit into memory."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults import census, graph
from tests.faults.nursery import Nursery
from tests.support import ScriptRunner

exhaustive = (pytest.mark.exhaustive, pytest.mark.timeout(4 * 3600))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "store", "runs"),
    [
        ("thread", "tree", 20),
        ("process", "packed", 6),
        pytest.param("thread", "packed", 2000, marks=exhaustive),
        pytest.param("process", "tree", 300, marks=exhaustive),
    ],
)
def test_many_runs_in_one_process_leave_nothing_behind(
    nursery: Nursery, tmp_path: Path, backend: str, store: str, runs: int
):
    driven = nursery.drive("soak", tmp_path / "cache", backend, runs, env={"TP_STORE": store}, timeout=3600)
    assert driven.status == 0, driven.output
    early, late = driven.answer
    for what in ("descriptors", "threads", "children"):
        assert late[what] <= early[what], (what, early, late)
    assert late["megabytes"] - early["megabytes"] < 20 + runs / 50, (early, late)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [20, pytest.param(200, marks=exhaustive)])
@pytest.mark.parametrize("store", ["tree", "packed"])
def test_many_runs_on_one_cache_do_not_make_the_next_one_slower(
    nursery: Nursery, tmp_path: Path, store: str, runs: int
):
    cache = tmp_path / "cache"
    calls = []
    for number in range(runs):
        driven = nursery.drive("crowd", cache, "thread", number, number + 1, armed=True, env={"TP_STORE": store})
        assert driven.answer == graph.crowd_answer(number, number + 1), driven.output
        calls.append(driven.calls)
    # Each run computes as much as the one before, so it changes the cache as often, but for what timing brings.
    assert max(calls[-5:]) < 2 * min(calls[2:7]), calls
    assert census.claims(cache) == (0, 0)
    assert not census.left_behind(cache)
    assert not census.take(cache).problems


MILLION = """
import resource, sys
from taskproc import TaskBase, RequiresList

class One(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self) -> int:
        return self.n

class Many(TaskBase):
    parts: RequiresList[int]
    def __init__(self, n: int):
        self.parts = [One(n * 1000 + i) for i in range(1000)]
    def run_task(self) -> int:
        return sum(self.parts)

class All(TaskBase):
    parts: RequiresList[int]
    def __init__(self, n: int):
        self.parts = [Many(i) for i in range(n)]
    def run_task(self) -> int:
        return sum(self.parts)

if __name__ == "__main__":
    thousands = int(sys.argv[1])
    number = thousands * 1000
    assert All(thousands).run_graph(backend="thread") == number * (number - 1) // 2
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("thousands", [100, 1000])
def test_a_million_tasks_fit_into_four_gigabytes(run_script: ScriptRunner, thousands: int):
    script = run_script.write(MILLION, "million.py")
    words = [sys.executable, str(script), str(thousands)]
    ended = run_script.run(words, env={"TP_STORE": "packed"}, timeout=3 * 3600)
    print(f"{thousands},000 tasks: {ended.out.strip()} MB")  # for the account in docs/reliability.md: -rP
    assert int(ended.out) < 4096
