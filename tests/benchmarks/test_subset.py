"""A few seconds of the benchmark: every ratio is one of figures measured right here, and generous.

Compared are seconds of processor time, which other work on the machine hardly changes.
"""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest

from benchmarks.cells import Cells, Setup, run_all_states
from benchmarks.measure import BenchmarkError, TimedOut
from benchmarks.systems import PACKED, RAW, SYSTEMS, TREE, State, System
from benchmarks.work import Work

WIDE = Work("wide", 500)
ROUNDS = 5
MEMORY = Path("/dev/shm")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(environments=tmp_path, scratch=tmp_path, workers=2, cap=60, settle=False)


@pytest.fixture
def setup_in_memory(setup: Setup) -> Iterator[Setup]:
    """Give one without a disk: what a disk takes for a file varies tenfold, beside other tests and without."""
    if not MEMORY.is_dir():
        pytest.skip(f"no {MEMORY} here")
    with TemporaryDirectory(dir=MEMORY) as scratch:
        yield replace(setup, scratch=Path(scratch))


def named(name: str, *states: State) -> System:
    system = next(system for system in SYSTEMS if system.name == name)
    return replace(system, states=states) if states else system


HERE = [system.name for system in SYSTEMS if not system.requirements]


@pytest.mark.parametrize(("name", "shape"), [*((name, "grid") for name in HERE), (TREE, "wide"), (TREE, "chain")])
def test_answer_is_right_in_every_state(name: str, shape: str, setup: Setup) -> None:
    system = named(name)
    if system.command and not shutil.which(system.command[0]):
        pytest.skip(f"{system.command[0]} is not installed")
    cells = Cells()
    run_all_states(system, Work(shape, 20), setup, cells)
    assert {cell.state for cell in cells.all.values()} == set(system.states)


def test_wrong_answer_is_an_error(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Work, "answer", lambda work: 41)
    with pytest.raises(BenchmarkError, match="expected 'the answer is 41'"):
        run_all_states(named(RAW), Work("wide", 5), setup, Cells())


def test_what_takes_too_long_is_ended(setup: Setup) -> None:
    with pytest.raises(TimedOut, match=r"more than 0\.01 s"):
        run_all_states(named(TREE), Work("wide", 5), replace(setup, cap=0.01), Cells())


@pytest.mark.slow
def test_tree_store_costs_little_more_than_its_files_and_packed_less(setup_in_memory: Setup) -> None:
    cells = Cells()
    for _ in range(ROUNDS):
        for name in (RAW, TREE, PACKED):
            run_all_states(named(name, "cold"), WIDE, setup_in_memory, cells)

    raw, tree, packed = (middle(cells, name, WIDE, "cold") for name in (RAW, TREE, PACKED))
    assert packed < tree < 5 * raw, [(*key, cell.seconds, cell.cpu) for key, cell in cells.all.items()]


@pytest.mark.slow
def test_time_grows_no_faster_than_the_tasks(setup_in_memory: Setup) -> None:
    cells = Cells()
    large = Work("wide", 4 * WIDE.size)
    states: tuple[State, ...] = ("cold", "no-op")
    for _ in range(ROUNDS):
        for work in (WIDE, large):
            run_all_states(named(PACKED, *states), work, setup_in_memory, cells)

    for state in states:
        few, many = (middle(cells, PACKED, work, state) for work in (WIDE, large))
        assert many < 4 * few, [(*key, cell.seconds, cell.cpu) for key, cell in cells.all.items()]


def middle(cells: Cells, name: str, work: Work, state: State) -> float:
    """Give the median: one round of several is told too short when a worker's time is not told at all."""
    return median(cells.cell(named(name), work, state).cpu)
