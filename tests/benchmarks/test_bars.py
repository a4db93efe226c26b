"""The bars are compared with what was measured, in one run."""
from __future__ import annotations

from benchmarks.bars import findings
from benchmarks.cells import Cell, Cells
from benchmarks.systems import PACKED, RAW, TREE
from benchmarks.table import bars, markdown


def measured(*figures: tuple[str, str, int, str, float]) -> Cells:
    cells = Cells()
    for name, work, size, state, seconds in figures:
        key = (name, work, size, state)
        cells.all[key] = Cell(*key, tasks=size, seconds=[seconds], cpu=[seconds], memory=[20.0])
    return cells


def test_ratio_beside_the_limit_is_judged() -> None:
    cells = measured((TREE, "wide", 10_000, "cold", 1.5), (RAW, "wide", 10_000, "cold", 1.0))
    (found,) = findings(cells.all)
    assert (found.what, found.found, found.met) == ("wide, 10,000, cold: taskproc beside raw", 1.5, False)


def test_growth_is_counted_for_each_task() -> None:
    cells = measured((PACKED, "chain", 1000, "no-op", 1.0), (PACKED, "chain", 4000, "no-op", 2.0))
    (found,) = findings(cells.all)
    assert (found.found, found.met) == (0.5, True)


def test_import_is_measured_beyond_bare_python() -> None:
    cells = measured((TREE, "import", 1, "cold", 0.05), ("bare Python", "import", 1, "cold", 0.02))
    (found,) = findings(cells.all)
    assert round(found.found) == 30
    assert found.met


def test_tables_show_every_figure_and_every_bar() -> None:
    cells = measured((TREE, "wide", 10_000, "cold", 1.5), (RAW, "wide", 10_000, "cold", 1.0))
    cells.all["doit", "wide", 10_000, "cold"] = Cell("doit", "wide", 10_000, "cold", failure="took more than 1 s")
    text = markdown(list(cells.all.values()))
    assert "### wide, 10,000 tasks" in text
    assert "| raw | 1 |  |  | 0.1 | 1 | 20 | 0.67 |  |" in text
    assert "| doit | took more than 1 s |" in text
    assert "| **no** |" in bars(findings(cells.all))
