"""Writes what was measured as Markdown."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from .bars import Finding
from .cells import Cell
from .systems import PACKED, STATES, TREE
from .work import SHAPES

_HEAD = ("", *STATES, "ms a task", "CPU seconds", "driver MB", f"beside {TREE}", f"beside {PACKED}")


def markdown(cells: Sequence[Cell]) -> str:
    """Write a table for each work and size.

    A figure is the median in seconds, with the least and the most. What stands behind the states is about the first of
    them that was measured; the last columns say how many times our time it took.
    """
    parts = []
    for work, size in dict.fromkeys((cell.work, cell.size) for cell in cells):
        table = _Table([cell for cell in cells if (cell.work, cell.size) == (work, size)])
        title = f"{work}, {size:,} tasks" if work in SHAPES else work
        parts += [f"### {title}", "", *table.lines(), ""]
    return "\n".join(parts)


def bars(found: Iterable[Finding]) -> str:
    """Write what was found of the bars."""
    lines = ["### Bars", "", _line(["", "found", "bar", "met"]), _line(["--", "--:", "--:", "--"])]
    for one in found:
        figures = (f"{figure:.3g} {one.unit}" for figure in (one.found, one.bar))
        lines.append(_line([one.what, *figures, "yes" if one.met else "**no**"]))
    return "\n".join(lines) + "\n"


class _Table:
    """What was measured of one work."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = {(cell.system, cell.state): cell for cell in cells}

    def lines(self) -> Iterator[str]:
        """Write it, the fastest first."""
        yield _line(_HEAD)
        yield _line(["--"] + ["--:"] * (len(_HEAD) - 1))
        systems = list(dict.fromkeys(system for system, _ in self._cells))
        for system in sorted(systems, key=lambda system: self._seconds(system, "cold") or float("inf")):
            yield _line(self._row(system))

    def _row(self, system: str) -> Iterator[str]:
        cells = [self._cells.get((system, state)) for state in STATES]
        first = next((cell for cell in cells if cell is not None and cell.seconds), None)
        note = next((cell.note for cell in cells if cell is not None and cell.note), "")
        yield f"{system}, {note}" if note else system
        yield from map(_figure, cells)
        if first is None:
            yield from [""] * (len(_HEAD) - 1 - len(STATES))
            return
        seconds = median(first.seconds)
        yield f"{1000 * seconds / first.tasks:.3g}"
        yield f"{median(first.cpu):.3g}"
        yield f"{median(first.memory):.0f}"
        for ours in (TREE, PACKED):
            beside = self._seconds(ours, first.state)
            yield f"{seconds / beside:.2f}" if beside else ""

    def _seconds(self, system: str, state: str) -> float | None:
        cell = self._cells.get((system, state))
        return median(cell.seconds) if cell is not None and cell.seconds else None


def _figure(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if not cell.seconds:
        return cell.failure
    middle = f"{median(cell.seconds):.3g}"
    return middle if len(cell.seconds) == 1 else f"{middle} ({min(cell.seconds):.3g} to {max(cell.seconds):.3g})"


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"
