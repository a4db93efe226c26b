"""What taskproc should reach: ratios of figures of one run, and whether they were met."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from .cells import Cell
from .systems import NINJA, PACKED, RAW, RAW_PACKED, RAW_THREAD, SYSTEMS, THREAD, TREE
from .work import SHAPES

Key = tuple[str, str, int, str]
_COLD, _NO_OP = "cold", "no-op"
_SMALLEST_FOR_GROWTH = 1000
_MANY = 10_000  # tasks: below, what counts is how soon a driver and its workers start


@dataclass(frozen=True)
class Finding:
    """One bar, and what was found."""

    what: str
    found: float
    bar: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the bar was met."""
        return self.found <= self.bar


def findings(cells: Mapping[Key, Cell]) -> Iterator[Finding]:
    """Compare what was measured with every bar that it says something of."""
    measured = {key: median(cell.seconds) for key, cell in cells.items() if cell.seconds}
    for work, size in dict.fromkeys((cell.work, cell.size) for cell in cells.values() if cell.work in SHAPES):
        yield from _ratios(measured, work, size)
        yield from _limits(measured, cells, work, size)
    yield from _growth(measured, cells)
    yield from _starts(measured)


def _ratios(measured: Mapping[Key, float], work: str, size: int) -> Iterator[Finding]:
    where = f"{work}, {size:,}"
    pairs: list[tuple[tuple[str, str], tuple[str, str], float]] = []
    peers = [system.name for system in SYSTEMS if system.kind == "peer" and system.keeps]
    pairs += [((TREE, _COLD), (peer, _COLD), 1.0) for peer in peers]
    if size >= _MANY:
        pairs.append(((TREE, _NO_OP), (NINJA, _NO_OP), 8.0))
    if size >= _MANY and work != "chain":
        pairs.append(((TREE, _COLD), (RAW, _COLD), 1.3))
        pairs.append(((PACKED, _COLD), (RAW_PACKED, _COLD), 2.0))
        pairs += [((PACKED, _COLD), (other, _COLD), 1 / 3) for other in [TREE, *peers]]
    if size >= _MANY and work == "wide":
        pairs.append(((THREAD, _COLD), (RAW_THREAD, _COLD), 1.3))
    for (ours, state), (other, other_state), bar in pairs:
        here, there = measured.get((ours, work, size, state)), measured.get((other, work, size, other_state))
        if here is not None and there is not None:
            yield Finding(f"{where}, {state}: {ours} beside {other}", here / there, bar, "times")


def _limits(
    measured: Mapping[Key, float], cells: Mapping[Key, Cell], work: str, size: int
) -> Iterator[Finding]:
    limits = {(TREE, 10_000): 0.6, (TREE, 100_000): 5.0, (PACKED, 100_000): 3.0}
    for (name, tasks), bar in limits.items():
        seconds = measured.get((name, work, tasks, _NO_OP))
        if tasks == size and seconds is not None:
            cpu = median(cells[name, work, tasks, _NO_OP].cpu)
            yield Finding(f"{work}, {size:,}, {_NO_OP}: {name} ({cpu:.3g} s of processor time)", seconds, bar, "s")
    for name in (TREE, PACKED):
        cell = cells.get((name, work, size, _COLD))
        if size == 100_000 and cell is not None and cell.memory:
            yield Finding(f"{work}, {size:,}, driver's memory: {name}", max(cell.memory), 400.0, "MB")


def _growth(measured: Mapping[Key, float], cells: Mapping[Key, Cell]) -> Iterator[Finding]:
    """Compare each size with the one before: time and memory may grow as the tasks do."""
    for name, work, state in dict.fromkeys((name, work, state) for name, work, _, state in measured):
        if name not in (TREE, PACKED) or work not in SHAPES or state not in (_COLD, _NO_OP):
            continue
        sizes = sorted(key[2] for key in measured if (key[0], key[1], key[3]) == (name, work, state))
        for small, large in pairwise(sizes):
            if small >= _SMALLEST_FOR_GROWTH:
                key, before = (name, work, large, state), (name, work, small, state)
                grown = cells[key].tasks / cells[before].tasks
                what = f"{work}, {small:,} to {large:,}, {state}: {name} grows, for each task more"
                yield Finding(what, measured[key] / measured[before] / grown, 1.0, "times")


def _starts(measured: Mapping[Key, float]) -> Iterator[Finding]:
    for work, bar in (("import", 80.0), ("worker start", 60.0)):
        here, bare = measured.get((TREE, work, 1, _COLD)), measured.get(("bare Python", work, 1, _COLD))
        if here is not None and bare is not None:
            yield Finding(f"{work}, beyond bare Python", 1000 * (here - bare), bar, "ms")
    here, bare = measured.get((TREE, "big", 1, _COLD)), measured.get(("bare pickle", "big", 1, _COLD))
    if here is not None and bare is not None:
        yield Finding("big: beside bare pickle", here / bare, 1.0, "times")
