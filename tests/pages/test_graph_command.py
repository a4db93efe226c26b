"""`taskproc graph`."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command

TASKS = """
    from taskproc import Requires, TaskBase

    class Load(TaskBase):
        def __init__(self, name: str): ...

    class Main(TaskBase):
        data: Requires[None]
        def __init__(self, name: str = "digits"):
            self.data = Load(name)
"""


@pytest.fixture
def taskproc(tmp_path: Path) -> Command:
    command = Command(tmp_path)
    command.file(TASKS)
    return command


def test_page_is_written_beside_and_over_its_older_self(taskproc: Command) -> None:
    first = taskproc("graph", "tasks.py")
    page = taskproc.home / "tasks.graph.html"
    size = page.stat().st_size
    again = taskproc("graph", "tasks.py", "--set", "name=other")

    assert (first.code, first.err) == (0, "")
    assert first.out == again.out == "Wrote tasks.graph.html; open it in a browser.\n"
    assert size > 50_000
    assert "Load(name='other')" in page.read_text()
    assert not (taskproc.home / ".cache").exists()  # nothing is run, and nothing made


def test_other_files_are_not_written_over(taskproc: Command) -> None:
    (taskproc.home / "tasks.graph.html").write_text("<p>mine</p>")
    ended = taskproc("graph", "tasks.py")

    assert ended.code == 1
    assert "tasks.graph.html is there already, and is no page of taskproc's" in ended.err
    assert (taskproc.home / "tasks.graph.html").read_text() == "<p>mine</p>"


def test_format_follows_the_name_of_the_output(taskproc: Command) -> None:
    taskproc("graph", "tasks.py", "--output", "a.dot")
    ended = taskproc("graph", "tasks.py", "--output", "a.png")

    assert (taskproc.home / "a.dot").read_text().startswith("digraph")
    assert ended.code == 2
    assert "'a.png' does not say its format" in ended.err


def test_text_goes_to_the_terminal(taskproc: Command) -> None:
    ended = taskproc("graph", "tasks.py", "-f", "text")

    assert ended.out == "Main(name='digits')  stale: no result\n└─ Load(name='digits')  stale: no result\n"
