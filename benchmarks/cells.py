"""Runs one system on one work: cold, then with everything there, then with one result gone."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from .environments import bin_of
from .measure import BenchmarkError, Run, TimedOut, measure
from .program import MARK, OUTPUT
from .systems import State, System
from .work import Work


@dataclass(frozen=True)
class Setup:
    """How to measure.

    Attributes:
        environments: Where the peers' environments are kept.
        scratch: Where they work; it should be the kind of disk that one wants to know about.
        workers: How many tasks run at once.
        cap: The most seconds that one run may take.
        settle: Whether the disk comes to rest before each run: what was written before is not this one's to wait for.
    """

    environments: Path
    scratch: Path
    workers: int
    cap: float
    settle: bool = True


@dataclass
class Cell:
    """What one system took for one work in one state.

    Attributes:
        work: The shape, or the name of another thing that is measured.
        tasks: How many tasks there were in all.
        seconds: What each run took.
        cpu: What each run took of the processors, with what it waited for.
        memory: The driver's peak in MB, of each run.
        failure: Why there is no figure.
        note: What else there is to say.
    """

    system: str
    work: str
    size: int
    state: str
    tasks: int = 1
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    failure: str = ""
    note: str = ""

    def add(self, run: Run) -> None:
        """Note one more run."""
        self.seconds.append(run.seconds)
        self.cpu.append(run.cpu)
        self.memory.append(run.memory)

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)


class Cells:
    """All that was measured, by system, work, size and state."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str, int, str], Cell] = {}

    def cell(self, system: System, work: Work, state: State) -> Cell:
        """Give a cell, a new one if need be."""
        key = (system.name, work.shape, work.size, state)
        return self.all.setdefault(key, Cell(*key, tasks=work.nodes))

    def add_figures(self, figures: Iterable[Mapping[str, Any]]) -> None:
        """Take in cells that were written as plain data."""
        for each in figures:
            cell = Cell(**each)
            self.all[cell.system, cell.work, cell.size, cell.state] = cell

    def fail(self, system: System, work: Work, why: str) -> None:
        """Note why a system has no figure for a work, in the first state that lacks one."""
        for state in system.states:
            cell = self.cell(system, work, state)
            if not cell.seconds:
                cell.failure = why
                return

    def failed(self, system: System, work: Work) -> str:
        """Say why a system has failed at a work, if it has."""
        found = (self.all.get((system.name, work.shape, work.size, state)) for state in system.states)
        return next((cell.failure for cell in found if cell is not None and cell.failure), "")


def run_all_states(system: System, work: Work, setup: Setup, cells: Cells) -> None:
    """Run a system on a work in all its states, and note what each took.

    Raises:
        BenchmarkError: An answer was wrong, or missing.
    """
    with scratch_directory(setup) as home:
        subject = _Subject(system, work, setup, home)
        if system.command:
            subject.program("prepare")
        if "cold" in system.states:
            cells.cell(system, work, "cold").add(subject.run())
        if "no-op" in system.states:
            cells.cell(system, work, "no-op").add(subject.run())
        if "one-changed" in system.states:
            subject.program("clear")
            cells.cell(system, work, "one-changed").add(subject.run())


@contextmanager
def scratch_directory(setup: Setup) -> Iterator[Path]:
    """Make a directory for a while."""
    home = Path(mkdtemp(prefix="benchmark-", dir=setup.scratch))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


class _Subject:
    """One system at one work, in a directory of its own."""

    def __init__(self, system: System, work: Work, setup: Setup, home: Path) -> None:
        self._system = system
        self._work = work
        self._setup = setup
        self._home = home
        self._place = home / "place"
        self._bin = bin_of(system, setup.environments)

    def run(self) -> Run:
        """Run it once, as it is measured."""
        if not self._system.command:
            run = self.program("run")
            self._check(run)
            return run
        names = {"bin": str(self._bin), "place": str(self._place), "workers": str(self._setup.workers)}
        run = self._measure([word.format(**names) for word in self._system.command], OUTPUT)
        self._check(self.program("read"))
        return run

    def program(self, action: str) -> Run:
        """Have its program do something."""
        work = self._work
        words = [self._system.module, action, work.shape, str(work.size), str(self._place)]
        command = [str(self._bin / "python"), "-m", "benchmarks.program", *words]
        return self._measure(command, OUTPUT if action == "run" else f"{action}.txt")

    def _measure(self, command: list[str], output: str) -> Run:
        if self._setup.settle:
            os.sync()
        return measure(
            command, cwd=self._home, output=self._home / output, cap=self._setup.cap,
            environment={
                **self._system.settings,
                "BENCHMARK_WORKERS": str(self._setup.workers),
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "HOME": str(self._home),
            },
        )  # fmt: skip

    def _check(self, run: Run) -> None:
        right = f"{MARK} {self._work.answer()}"
        if right not in run.output.splitlines():
            end = " / ".join(run.output.splitlines()[-3:])
            msg = f"{self._system.name}, {self._work}: expected {right!r} among its output, which ends in {end!r}"
            raise BenchmarkError(msg)


__all__ = ["BenchmarkError", "Cell", "Cells", "Setup", "TimedOut", "run_all_states", "scratch_directory"]
