"""The report on a run, in a real browser, from a cache on disk."""
from __future__ import annotations

import os
import pickle
import shutil
import time
from pathlib import Path

import pytest

from taskproc import FailedTaskError, RequiresList, TaskBase
from taskproc.look.history import Run
from taskproc.look.pages import run_report
from taskproc.look.pages.report import report_page, report_text
from taskproc.runs.ledger import run_directories
from taskproc.tasks.in_use import current_cache
from tests.pages.browser import NARROW, WIDE, Browser
from tests.pages.runs import ran
from tests.pages.test_graph_page import FIRST_DRAWING, contrast

EVIL = "<script>document.title='caught'</script>"


class Load(TaskBase):
    def __init__(self, i: int) -> None:
        self.i = i

    def run_task(self) -> int:
        time.sleep(0.3)  # so that its bar is wide enough to point at, also in a run that takes long
        return self.i


class Train(TaskBase, retries=1):
    data: RequiresList[int]

    def __init__(self, k: int, note: str = "") -> None:
        self.data = [Load(i) for i in range(k, k + 3)]
        self.k = k

    def run_task(self) -> int:
        if self.k == 2:
            print(f"epoch 1 {EVIL}")
            raise ValueError(f"loss is {EVIL}")
        return self.k


class Compare(TaskBase):
    models: RequiresList[int]

    def __init__(self) -> None:
        self.models = [Train(k, note=EVIL) for k in range(4)]


@pytest.fixture
def failed_run(cache: Path) -> Path:
    """Run `Compare`, of which one task fails, with two tasks cached, and give the cache."""
    Load(0).run_graph(backend="thread")
    Load(1).run_graph(backend="thread")
    with pytest.raises(FailedTaskError):
        Compare().run_graph(backend="thread", on_error="continue")
    return cache


def open_report(browser: Browser, to: Path, size: tuple[int, int] = WIDE, *, dark: bool = False) -> Browser:
    browser.open(run_report().save(to / "report.html"), size, dark=dark)
    return browser


def test_report_tells_what_became_of_the_tasks(browser: Browser, failed_run: Path, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path)

    assert page.texts("h1") == ["Compare()"]
    assert page.texts(".status") == ["failed"]
    numbers = dict(zip(page.texts(".numbers span"), page.texts(".numbers b"), strict=True))
    assert numbers["tasks ran"] == "7"
    assert numbers["were cached"] == "2 (18 %)"
    assert (numbers["failed"], numbers["not run"], numbers["attempts beyond the first"]) == ("1", "1", "1")
    rows = {cells[0]: cells for cells in (row.split("|") for row in rows_of(page, "#classes"))}
    assert rows["Load"][1:3] == ["4", "2"]
    assert rows["Train"][1:4] == ["3", "", "1"]
    assert page.complaints() == []
    assert [url for url in page.asked_for() if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]


def test_failures_come_with_their_logs_as_text(browser: Browser, failed_run: Path, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path)

    (failure,) = page.texts("#failures details")
    assert failure.startswith("Train(k=2")
    assert f"ValueError: loss is {EVIL}" in failure
    assert f"epoch 1 {EVIL}" in failure
    assert page.run("return document.title").startswith("Compare() - run ")
    links = page.run("return [...document.querySelectorAll('#failures a')].map(a => decodeURIComponent(a.href))")
    paths = [Path(link.removeprefix("file://")) for link in links]
    assert [path.name for path in paths[1:]] == ["stdout.txt", "stderr.txt"]
    assert all(path.exists() for path in paths)


def test_links_lead_to_the_files(browser: Browser, failed_run: Path, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path)

    page.click("#failures a", "stdout.txt")
    assert page.run("return document.body.textContent") == f"epoch 1 {EVIL}\n"


def test_timeline_tells_of_the_bar_under_the_pointer(browser: Browser, failed_run: Path, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path)
    told = page.run(
        """
        const canvas = document.querySelector('canvas'), said = new Set();
        for (let x = 0; x < canvas.clientWidth; x += 1)  // the bar of a short task is a few pixels wide
          for (let y = 0; y < canvas.clientHeight; y += 4) {
            const corner = canvas.getBoundingClientRect();
            canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: corner.left + x, clientY: corner.top + y}));
            said.add(document.querySelector('#times [role=status]').textContent.split(':')[0]);
          }
        return [...said];
        """
    )
    assert any(text.startswith("Train(k=2") for text in told)
    assert any(text.startswith("Load(i=") for text in told)


def test_tables_are_sorted_by_a_click_on_a_head(browser: Browser, failed_run: Path, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path)

    page.click("#classes th button", "Ran")
    assert [row.split("|")[0] for row in rows_of(page, "#classes")] == ["Load", "Train", "Compare"]
    page.click("#classes th button", "Ran")
    assert [row.split("|")[0] for row in rows_of(page, "#classes")] == ["Compare", "Train", "Load"]


def test_ten_thousand_tasks_are_drawn_soon(browser: Browser, tmp_path: Path) -> None:
    loads = [ran(node, 0.5, start=node * 0.01, pid=node % 50, name="Load") for node in range(9_999)]
    root = ran(9_999, 1.0, range(9_999), start=100.5, name="Main")
    run = Run("20260101-000000-000-0", str(tmp_path), "Main()", started=0.0, ended=101.5, status="done")
    (tmp_path / "report.html").write_text(report_text(run, [*loads, root], tmp_path), encoding="utf-8")
    browser.open(tmp_path / "report.html")

    assert browser.drawn_after() < FIRST_DRAWING
    assert browser.complaints() == []
    assert len(rows_of(browser, "#classes")) == 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_report_is_readable(
    browser: Browser, failed_run: Path, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    page = open_report(browser, tmp_path, size, dark=dark)

    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    for selector in ("h1", ".about", ".status", ".numbers span", "#classes th", "#classes td", "summary .faint"):
        assert contrast(page, selector) >= 4.5, selector


def test_report_reads_a_cache_from_another_machine_and_no_result(
    browser: Browser, failed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "copied from elsewhere"
    shutil.move(failed_run, moved)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    browser.open(run_report(cache_dir=moved).save(tmp_path / "report.html"))

    assert "epoch 1" in browser.texts("#failures details")[0]
    assert "copied%20from%20elsewhere" in browser.run("return document.querySelector('#failures a').href")


def test_logs_of_a_later_attempt_are_not_taken_for_those_of_the_run(failed_run: Path) -> None:
    (newest, *_) = run_directories(current_cache().runs)
    with pytest.raises(FailedTaskError):
        Compare().run_graph(backend="thread")

    assert "epoch 1" not in report_page(newest, None)


def test_a_run_of_which_only_its_name_is_left_is_reported_on(failed_run: Path) -> None:
    (newest, *_) = run_directories(current_cache().runs)
    for name in os.listdir(newest):
        if name != "run.json":
            os.unlink(f"{newest}/{name}")

    assert "Compare()" in report_page(newest, None)


def rows_of(page: Browser, section: str) -> list[str]:
    """Give the rows of a section's table, the cells of each parted by bars."""
    rows: list[str] = page.run(
        "return [...document.querySelectorAll(arguments[0] + ' tr')].slice(1)"
        ".map(row => [...row.cells].map(cell => cell.textContent).join('|'))",
        section,
    )
    return rows


def refuse(*_: object) -> None:
    raise AssertionError("something was unpickled")
