"""Writes what was measured as Markdown."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from .bars import Finding
from .cells import Cell
from .systems import PACKED, STATES, TREE
from .work import SHAPES

_HEAD = ("", "seconds", "spread", "CPU seconds", "ms a task", "driver MB", f"beside {TREE}", f"beside {PACKED}")


def markdown(cells: Sequence[Cell]) -> str:
    """Write a table for each work, size and state; the last columns say how many times our time it took."""
    parts = []
    for state in STATES:
        for work, size in dict.fromkeys((cell.work, cell.size) for cell in cells):
            rows = [cell for cell in cells if (cell.work, cell.size, cell.state) == (work, size, state)]
            if rows:
                title = f"{work}, {size:,} tasks, {state}" if work in SHAPES else work
                parts += [f"### {title}", "", *_table(rows), ""]
    return "\n".join(parts)


def bars(found: Iterable[Finding]) -> str:
    """Write what was found of the bars."""
    lines = ["### Bars", "", _line(["", "found", "bar", "met"]), _line(["--", "--:", "--:", "--"])]
    for one in found:
        figures = (f"{figure:.3g} {one.unit}" for figure in (one.found, one.bar))
        lines.append(_line([one.what, *figures, "yes" if one.met else "**no**"]))
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Cell]) -> Iterable[str]:
    ours = {cell.system: median(cell.seconds) for cell in rows if cell.seconds}
    yield _line(_HEAD)
    yield _line(["--"] + ["--:"] * (len(_HEAD) - 1))
    measured = sorted((cell for cell in rows if cell.seconds), key=lambda cell: median(cell.seconds))
    for cell in measured:
        seconds = median(cell.seconds)
        yield _line([
            f"{cell.system}, {cell.note}" if cell.note else cell.system,
            f"{seconds:.3g}",
            f"{min(cell.seconds):.3g} to {max(cell.seconds):.3g}",
            f"{median(cell.cpu):.3g}",
            f"{1000 * seconds / cell.tasks:.3f}",
            f"{median(cell.memory):.0f}",
            *(f"{seconds / ours[name]:.2f}" if name in ours else "" for name in (TREE, PACKED)),
        ])  # fmt: skip
    for cell in rows:
        if cell.failure and not cell.seconds:
            yield _line([cell.system, cell.failure, *[""] * (len(_HEAD) - 2)])


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"
