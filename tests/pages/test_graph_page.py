"""The page of a graph, in a real browser: it draws, answers to clicks, asks for nothing, and lets no text be code."""
from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from taskproc.look.pages import assets
from taskproc.look.pages.assets import read_asset
from taskproc.look.pages.html import graph_page
from taskproc.look.pages.model import ShownGraph
from tests.pages.browser import NARROW, WIDE, Browser, missing
from tests.pages.graphs import pipeline, shown, task

FIRST_DRAWING = 10.0  # seconds for 10,000 tasks, where a quiet machine takes a third of one
EVIL = "<script>document.title='caught'</script><img src=x onerror=\"document.title='caught'\">'\"&amp;</script><!--"


@pytest.fixture
def opened(browser: Browser, tmp_path: Path):
    """Write a graph's page, and open it."""

    def open_page(graph: ShownGraph, size: tuple[int, int] = WIDE, *, dark: bool = False) -> Browser:
        page = tmp_path / "graph.html"
        page.write_text(graph_page(graph, tmp_path), encoding="utf-8")
        browser.open(page, size, dark=dark)
        return browser

    return open_page


def test_page_complains_of_nothing_and_asks_for_nothing_but_itself(opened, tmp_path: Path) -> None:
    page = opened(pipeline(100))
    page.click(".sign")
    page.click(".node.task")

    assert page.complaints() == []
    assert [url for url in page.asked_for() if not url.startswith("data:")] == [(tmp_path / "graph.html").as_uri()]


def test_click_on_a_task_shows_all_that_is_known_of_it(opened, tmp_path: Path) -> None:
    directory = tmp_path / "a cache" / "results" / "7"
    train = task(
        "Train", "failed", (0,), "ValueError: loss is nan", label="Train(lr=3.0)", brief="lr=3.0",
        arguments={"lr": "3.0"}, id=7, backend="slurm", host="node17", pid=4711, started=1.7e9, seconds=75.0,
        memory=2_500_000, directory=str(directory), logs={"stderr.txt": "the loss is nan\n"},
    )  # fmt: skip
    page = opened(shown(task("Load"), train, task("Main", "stale", (1,), "no result")))

    page.click(".node", "Train")

    panel = " ".join(page.texts("aside")[0].split())
    for text in ("Train(lr=3.0)", "failed: ValueError: loss is nan", "slurm", "node17, process 4711", "1 min 15 s",
                 "2.38 GiB", "lr3.0", "the loss is nan", "Needs (1)", "Needed by (1)"):  # fmt: skip
        assert text in panel
    links = page.run("return [...document.querySelectorAll('aside a')].map(a => a.href)")
    assert links == [directory.as_uri(), (directory / "stderr.txt").as_uri()]


def test_class_unfolds_on_a_click_a_page_at_a_time_and_folds_again(opened) -> None:
    page = opened(pipeline(100, {93: "failed"}))
    assert page.texts(".node.class .title") == ["Load", "Train"]

    page.click(".node.class", "Train")
    assert page.texts("aside h2") == ["Train"]
    page.click("aside button", "Unfold")
    unfolded = page.texts(".node.task .title")
    assert unfolded.count("Train") == 30
    assert page.texts(".node.task.node")[0].startswith("Train, i=93, failed")  # what needs attention comes first
    assert page.texts(".node.more .title") == ["70 more"]

    page.click("aside button", "Unfold more")
    assert page.texts(".node.more .title") == ["40 more"]

    page.click("#fold")
    assert page.texts(".node.class .title") == ["Load", "Train"]


def test_drawing_is_moved_enlarged_and_turned_by_hand(opened) -> None:
    page = opened(pipeline(100))
    place = "return document.querySelector('.node.class').getBoundingClientRect().toJSON()"
    before = page.run(place)

    page.drag(".node.class", 40, 30)
    moved = page.run(place)
    page.click("#larger")
    larger = page.run(place)
    page.click("#turn")
    turned = page.run(place)

    assert (round(moved["x"] - before["x"]), round(moved["y"] - before["y"])) == (40, 30)
    assert page.texts("aside h2") == ["Main()"]  # a drag is no click
    assert round(larger["width"] / moved["width"], 2) == 1.3
    main = page.run("return [...document.querySelectorAll('.node.task')].at(-1).getBoundingClientRect().toJSON()")
    assert turned["bottom"] < main["top"]


def test_small_graph_shows_every_task(opened) -> None:
    page = opened(pipeline(5))

    assert "Main, stale: no result" in page.texts(".node > title")
    assert sorted(page.texts(".node .title")) == ["Load"] * 5 + ["Main"] + ["Train"] * 5


def test_ten_thousand_tasks_are_drawn_soon_and_answer_soon(opened) -> None:
    page = opened(pipeline(5000, {4321: "failed"}))
    assert page.drawn_after() < FIRST_DRAWING

    page.click(".states button", "1 failed")
    page.click("aside li button", "Train(i=4321)")
    page.click("aside button", "Show in the graph")

    assert page.texts("aside h2") == ["Train(i=4321)"]
    assert page.texts(".node.task.chosen .note") == ["failed", "i=4321"]
    took = page.run(
        "const begin = performance.now(); document.querySelector('.sign').dispatchEvent("
        "new MouseEvent('click', {bubbles: true})); return performance.now() - begin"
    )
    assert took / 1000 < FIRST_DRAWING


def test_very_many_classes_are_drawn_as_far_as_they_can_be(opened) -> None:
    steps = [task(f"Step{number}", upstreams=[number - 1] if number else []) for number in range(400)]
    page = opened(shown(*steps, task("Main", "stale", (399, 5))))

    assert page.drawn_after() < FIRST_DRAWING
    assert len(page.texts(".node")) == 160
    assert page.texts(".hint")[0].startswith("241 nodes are not drawn")
    page.write("input[type=search]", "Step100(")
    page.click("aside li button", "Step100()")
    page.click("aside button", "Show in the graph")
    assert page.texts(".node.chosen .title") == ["Step100"]


def test_search_finds_tasks_by_argument_and_id(opened) -> None:
    page = opened(pipeline(200))

    page.write("input[type=search]", "Train(i=77)")
    assert page.texts("aside li button") == ["Train(i=77)"]
    page.write("input[type=search]", "x")
    assert "There is none." in page.texts("aside")[0]


def test_text_of_tasks_is_text(opened) -> None:
    load = task(
        EVIL, label=f"{EVIL}()", brief=EVIL, arguments={EVIL: EVIL}, reason=EVIL, backend=EVIL, host=EVIL, pid=1,
        directory=f"/data/{EVIL}", logs={EVIL: EVIL},
    )  # fmt: skip
    other = task(EVIL, "failed", label=f"{EVIL}(2)", reason=EVIL)
    tasks = [load, other, *(task("Load", label=str(number)) for number in range(50))]
    page = opened(shown(*tasks, task("Main", "stale", (0, 1), label=EVIL)))
    page.click(".sign")
    page.click(".node.class")
    for part in ("aside li button", ".node.task"):
        page.click(part)

    assert page.run("return document.title") == f"{EVIL} - task graph"
    assert page.run("return document.images.length + document.scripts.length") == 6  # the data and five of ours
    assert page.texts("h1") == [EVIL]
    page.click(".states button", "failed")
    assert page.texts("aside li button") == [f"{EVIL}(2)"]
    assert page.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_page_is_readable(opened, size: tuple[int, int], dark: bool) -> None:
    page = opened(pipeline(60, {1: "failed", 2: "running"}), size, dark=dark)
    page.click(".node.class", "Train")

    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    for selector in ("h1", ".about", "aside th", "aside td", "aside li button", ".node .title", ".node .note"):
        assert contrast(page, selector) >= 4.5, selector


def test_keyboard_reaches_every_node(opened) -> None:
    page = opened(pipeline(100))

    reached = page.run(
        "const node = document.querySelector('.node.class'); node.focus();"
        "node.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));"
        "return [node.tabIndex, node.getAttribute('role'), node.getAttribute('aria-label')]"
    )
    assert reached == [0, "button", "Load, 100 tasks: all cached"]
    assert page.texts("aside h2") == ["Load"]


def test_data_in_a_page_cannot_end_their_script() -> None:
    text = graph_page(shown(task("Main", label=EVIL)), None)
    data = text.partition('id="data">')[2].partition("</script>")[0]

    assert "<" not in data
    assert json.loads(data)["title"] == EVIL


def test_a_browser_that_is_required_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKPROC_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="no chromium"):
        missing("there is no chromium")
    monkeypatch.delenv("TASKPROC_REQUIRE_BROWSER")
    with pytest.raises(pytest.skip.Exception, match="no chromium"):
        missing("there is no chromium")


@pytest.mark.parametrize("name", sorted(path.name for path in files(assets).iterdir() if path.name.endswith(".js")))
def test_scripts_hold_nothing_that_would_end_them(name: str) -> None:
    code = read_asset(name)

    assert "</script" not in code
    assert "<!--" not in code


def contrast(page: Browser, selector: str) -> float:
    """Give the contrast of a text with what is behind it, by WCAG 2.1, of the first element that a selector finds."""
    ink, paper = page.run(
        """
        const element = document.querySelector(arguments[0]), drawn = element.closest('svg') !== null;
        const ink = getComputedStyle(element)[drawn ? 'fill' : 'color'];
        const box = drawn && element.parentNode.querySelector('.box');
        return [ink, box ? getComputedStyle(box).fill : getComputedStyle(document.body).backgroundColor];
        """,
        selector,
    )
    lighter, darker = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Give the relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
