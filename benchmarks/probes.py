"""What is measured of taskproc alone, beside bare Python: `import`, `worker start`, `submit` and `big`."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from taskproc.work.command import serve_command

from .cells import BenchmarkError, Cell, Cells, Setup, scratch_directory
from .measure import Run, measure
from .systems import TREE

BARE = "bare Python"
DEPTHS = (10, 10_000)


def measure_import(setup: Setup, cells: Cells) -> None:
    """Start Python, and Python that imports taskproc."""
    for name, code in ((BARE, "pass"), (TREE, "import taskproc")):
        with scratch_directory(setup) as home:
            _note(cells, name, "import", _run([sys.executable, "-c", code], home, setup))


def measure_worker_start(setup: Setup, cells: Cells) -> None:
    """Start Python, and a worker that has nothing to do."""
    with scratch_directory(setup) as home:
        for name, command in ((BARE, [sys.executable, "-c", "pass"]), (TREE, serve_command(str(home)))):
            _note(cells, name, "worker start", _run(command, home, setup))


def measure_submit(setup: Setup, cells: Cells) -> None:
    """Pickle a task at several depths of a chain."""
    for depth in DEPTHS:
        with scratch_directory(setup) as home:
            run = _run([sys.executable, "-m", "benchmarks.handover", str(depth)], home, setup)
        size, seconds = run.output.split()
        cell = _note(cells, TREE, "submit", Run(float(seconds), float(seconds), run.memory, ""), depth)
        cell.note = f"{int(size):,} bytes at depth {depth:,}"


def measure_big(setup: Setup, cells: Cells) -> None:
    """Take a large array through three tasks, and through three functions."""
    found = {}
    for name, how in (("bare pickle", "bare"), (TREE, "ours")):
        with scratch_directory(setup) as home:
            run = _run([sys.executable, "-m", "benchmarks.systems.big", how, str(home)], home, setup)
        found[name] = run.output.splitlines()[-1]
        _note(cells, name, "big", run)
    if len(set(found.values())) != 1:
        raise BenchmarkError(f"the large array came out differently: {found}")


PROBES: Mapping[str, Callable[[Setup, Cells], None]] = {
    "import": measure_import,
    "worker start": measure_worker_start,
    "submit": measure_submit,
    "big": measure_big,
}


def _run(command: Sequence[str], home: Path, setup: Setup) -> Run:
    if setup.settle:
        os.sync()
    return measure(command, cwd=home, output=home / "output.txt", environment={}, cap=setup.cap)


def _note(cells: Cells, name: str, work: str, run: Run, size: int = 1) -> Cell:
    key = (name, work, size, "cold")
    cell = cells.all.setdefault(key, Cell(*key))
    cell.add(run)
    return cell
