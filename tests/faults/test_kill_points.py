"""`kill -9` of a driver or a worker, at each call that touches the cache: nothing corrupt, nothing done is lost."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults import tables
from tests.faults.killing import Stage, of_each_kind
from tests.faults.nursery import Driven, Nursery

STORES = ["tree", "packed"]
_ON_A_FULL_CACHE = ("cleared", "emptied")


def check(problems: list[str], points: int) -> None:
    """Fail with the name of every kill point after which something was not as promised."""
    assert points > 0
    print(f"{points} kill points")  # for the account in docs/reliability.md: -rP
    assert not problems, "\n".join([f"{len(problems)} problems at {points} kill points:", *problems])


@pytest.fixture
def stage(nursery: Nursery, tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """Give a place where drivers are killed."""
    return Stage(nursery, tmp_path, *request.param)


def named(*cases: tuple[str, str, str]) -> pytest.MarkDecorator:
    """Play these cases: backend, store, and what the victim does."""
    ids = ["-".join(case) for case in cases]
    return pytest.mark.parametrize("stage", cases, indirect=True, ids=ids)


@pytest.mark.slow
@named(("thread", "tree", "first"), ("thread", "packed", "first"), ("thread", "packed", "emptied"))
def test_killed_at_a_call(stage: Stage):
    points = of_each_kind(stage.calls())[::12]
    check([problem for at in points for problem in stage.kill(at)], len(points))


@pytest.mark.slow
@named(("process", "tree", "cleared"), ("process", "packed", "first"))
def test_killed_while_workers_run(stage: Stage):
    points = of_each_kind(stage.calls())[-60::15]
    check([problem for at in points for problem in stage.kill(at)], len(points))


@pytest.mark.slow
@named(("prefix", "tree", "first"), ("standin", "tree", "first"))
def test_killed_with_jobs_filed(stage: Stage):
    calls = stage.calls()
    points = [at for at in of_each_kind(calls) if "/.runs/" in calls[at - 1]][-24::8]
    check([problem for at in points for problem in stage.kill(at, wait=stage.backend != "standin")], len(points))


@pytest.mark.slow
@named(("process", "packed", "first"))
def test_next_run_starts_before_the_last_ones_workers_are_gone(stage: Stage):
    points = of_each_kind(stage.calls())[-40::8]
    check([problem for at in points for problem in stage.kill(at, wait=False)], len(points))


@pytest.mark.slow
@named(("process", "tree", "first"), ("prefix", "packed", "first"))
def test_worker_killed_at_a_call(stage: Stage):
    points = range(1, 25, 5 if stage.backend == "process" else 8)
    check([problem for at in points for problem in stage.kill_worker(at)], len(points))


@pytest.mark.slow
@pytest.mark.parametrize("table", ["rows", "ids"])
def test_killed_while_a_group_is_written_into_a_table(nursery: Nursery, tmp_path: Path, table: str):
    def drive(what: str, directory: Path, *args: int, at: int = 0, armed: bool = False) -> Driven:
        given = (str(directory), *args)
        return nursery.drive(what, directory, *given, at=at, armed=armed, module="tests.faults.tables")

    first = list(range(tables.GROUP))
    assert drive(table, tmp_path / "before", 0).status == 0
    shutil.copytree(tmp_path / "before", tmp_path / "unharmed")
    calls = drive(table, tmp_path / "unharmed", 1, armed=True).calls
    for at in range(1, calls + 1, max(1, calls // 10)):
        directory = tmp_path / str(at)
        shutil.copytree(tmp_path / "before", directory)
        drive(table, directory, 1, at=at)
        found = drive(f"read {table}", directory)
        assert found.answer in (first, list(range(2 * tables.GROUP))), (at, found.output)


# What follows takes about two hours: pytest tests/faults -m exhaustive -k kill -rP


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@named(*[(backend, store, "first") for backend in ("thread", "process", "prefix", "standin") for store in STORES])
def test_killed_at_two_calls_of_each_kind(stage: Stage):
    points = of_each_kind(stage.calls())
    check([problem for at in points for problem in stage.kill(at, wait=stage.backend != "standin")], len(points))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@named(*[(backend, store, what) for backend in ("thread", "process") for store in STORES for what in _ON_A_FULL_CACHE])
def test_killed_at_every_call_on_a_full_cache(stage: Stage):
    points = range(1, len(stage.calls()) + 1)
    check([problem for at in points for problem in stage.kill(at)], len(points))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@named(*[(backend, store, "first") for backend in ("process", "prefix") for store in STORES])
def test_next_run_follows_at_once_on_every_kill(stage: Stage):
    points = of_each_kind(stage.calls())
    check([problem for at in points for problem in stage.kill(at, wait=False)], len(points))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(3600)
@named(*[(backend, store, "first") for backend in ("process", "prefix") for store in STORES])
def test_worker_killed_at_every_call(stage: Stage):
    points = range(1, 60)
    check([problem for at in points for problem in stage.kill_worker(at)], len(points))
