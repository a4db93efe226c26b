"""Bars on a terminal, lines elsewhere."""
from __future__ import annotations

import io
import logging
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any, Literal

import pytest

from taskproc.look import progress as module
from taskproc.look.progress import Lines, Progress
from taskproc.plugin import Event
from tests.look.screen import screen


class Terminal(io.StringIO):
    """A terminal of 100 columns that keeps all that was written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> list[str]:
        """What a person sees."""
        return [line for line in screen(self.getvalue(), 100) if line]


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the number of lines of the terminal."""

    def set_lines(number: int) -> None:
        monkeypatch.setattr(module, "_terminal_lines", lambda stream: number)

    return set_lines


Kind = Literal["cached", "submitted", "started", "done", "failed", "lost", "cancelled"]


def event(kind: Kind, task: str, id: int, backend: str = "process") -> Event:
    return Event(time.time(), kind, task, id, "", backend)


def test_one_class_shows_done_total_running_and_failed() -> None:
    terminal = Terminal()
    with Progress({"tasks.Train": 4}, terminal) as progress:
        progress([event("started", "tasks.Train", 0), event("started", "tasks.Train", 1)])
        assert "0/4" in terminal.shown[0]
        assert "2 running" in terminal.shown[0]
        progress([event("done", "tasks.Train", 0), event("failed", "tasks.Train", 1)])
        assert terminal.shown[0].startswith("Train  25%|")
        assert "1/4" in terminal.shown[0]
        assert "running" not in terminal.shown[0]
        assert "1 failed" in terminal.shown[0]
    assert len(terminal.shown) == 1
    assert terminal.getvalue().endswith("\n")


def test_a_retry_and_a_lost_worker_count_once() -> None:
    terminal = Terminal()
    with Progress({"tasks.Train": 2}, terminal) as progress:
        progress([event("started", "tasks.Train", 0), event("started", "tasks.Train", 0)])
        progress([event("started", "tasks.Train", 1), event("lost", "tasks.Train", 1)])
        assert "1 running" in terminal.shown[0]
        progress([event("done", "tasks.Train", 0), event("cached", "tasks.Train", 1)])
    assert "2/2" in terminal.shown[0]


def test_several_classes_keep_their_order() -> None:
    terminal = Terminal()
    names = ["tasks.A", "tasks.Longer", "tasks.B"]
    with Progress(dict.fromkeys(names, 1), terminal) as progress:
        for name in reversed(names):
            progress([event("started", name, 0), event("done", name, 0)])
    assert [line.split()[0] for line in terminal.shown] == ["A", "Longer", "B"]
    assert all("1/1" in line for line in terminal.shown)


def test_classes_of_one_name_are_told_apart() -> None:
    terminal = Terminal()
    with Progress({"one.Load": 1, "two.Load": 1}, terminal):
        pass
    assert [line.split()[0] for line in terminal.shown] == ["one.Load", "two.Load"]


@pytest.mark.parametrize("room", [3, 10, 24])
def test_50_classes_are_folded_to_the_room_there_is(lines: Callable[[int], None], room: int) -> None:
    lines(room)
    terminal = Terminal()
    names = [f"tasks.Class{number}" for number in range(50)]
    with Progress(dict.fromkeys(names, 2), terminal) as progress:
        for number, name in enumerate(names):
            progress([event("started", name, 0), event("started", name, 1), event("done", name, 0)])
            assert len(terminal.shown) < room
            if room > 3:
                now = [line for line in terminal.shown if line.startswith(f"Class{number} ")]
                assert "1/2" in now[0]
            overall = terminal.shown[-1]
            assert overall.startswith(f"50 classes ({number} through, {49 - number} waiting)")
            assert f"{2 * number + 1}/100" in overall
            progress([event("done", name, 1)])
    assert len(terminal.shown) == 1
    assert "100/100" in terminal.shown[0]


def test_a_class_with_failures_stays_in_sight(lines: Callable[[int], None]) -> None:
    lines(6)
    terminal = Terminal()
    names = [f"tasks.Class{number}" for number in range(20)]
    with Progress(dict.fromkeys(names, 1), terminal) as progress:
        progress([event("started", names[0], 0), event("failed", names[0], 0)])
        for name in names[1:]:
            progress([event("started", name, 0)])
            progress([event("done", name, 0)])
        assert terminal.shown[0].startswith("Class0 ")
        assert "1 failed" in terminal.shown[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_terminal_is_left_in_order_whatever_happens(error: type[BaseException]) -> None:
    terminal = Terminal()
    before = warnings.showwarning, list(logging.getLogger().handlers)

    def interrupted() -> None:
        with Progress({"tasks.A": 2, "tasks.B": 1}, terminal) as progress:
            progress([event("started", "tasks.A", 0)])
            raise error

    with pytest.raises(error):
        interrupted()
    assert (warnings.showwarning, logging.getLogger().handlers) == before
    terminal.write("next\n")
    assert [line.split()[0] for line in terminal.shown] == ["A", "B", "next"]


def test_warnings_are_printed_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with Progress({"tasks.A": 1}, terminal):
            warnings.warn("look here", stacklevel=1)
            logging.getLogger().handle(logging.makeLogRecord({"msg": "logged", "levelno": 40, "levelname": "ERROR"}))
            assert "look here" in terminal.shown[0]
            assert terminal.shown[-1].startswith("A ")
            assert len([line for line in terminal.shown if "%|" in line]) == 1


def test_an_interactive_task_gets_an_empty_screen() -> None:
    terminal = Terminal()
    with Progress({"tasks.Ask": 1, "tasks.B": 1}, terminal) as progress:
        progress([event("started", "tasks.Ask", 0, backend="interactive")])
        assert terminal.shown == []
        progress([event("done", "tasks.Ask", 0)])
        assert [line.split()[0] for line in terminal.shown] == ["Ask", "B"]


def test_the_clock_goes_on_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_TICKS", 0.01)
    terminal = Terminal()
    with Progress({"tasks.A": 1}, terminal) as progress:
        progress([event("started", "tasks.A", 0)])
        before = len(terminal.getvalue())
        deadline = time.monotonic() + 5
        while len(terminal.getvalue()) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(terminal.getvalue()) > before


def test_a_terminal_that_goes_away_does_not_end_the_run() -> None:
    class Gone(Terminal):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    for stream in (Gone(), Gone()):
        stream.isatty = lambda: True  # type: ignore[method-assign]  # the second is a pipe, below
        with Progress({"tasks.A": 1}, stream) as progress:
            stream.broken = True
            progress([event("started", "tasks.A", 0)])
            progress([event("done", "tasks.A", 0)])
            stream.broken = False


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "pipe"])
def test_nothing_planned_prints_nothing(stream: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress({}, stream) as progress:
        progress([])
    assert capsys.readouterr().err == ""


def test_a_short_run_elsewhere_is_one_line() -> None:
    pipe = io.StringIO()
    with Progress({"tasks.A": 2, "tasks.B": 1}, pipe) as progress:
        for name, id in (("tasks.A", 0), ("tasks.A", 1), ("tasks.B", 0)):
            progress([event("started", name, id), event("done" if name == "tasks.A" else "failed", name, id)])
    assert pipe.getvalue() == "taskproc: 2/3 tasks done, 1 failed, after 0:00\n"


def test_a_long_run_elsewhere_prints_a_line_now_and_then() -> None:
    now = 0.0
    pipe = io.StringIO()
    progress = Progress({"tasks.A": 100, "tasks.B": 1}, pipe)
    progress._display = Lines(list(progress.classes.values()), pipe, clock=lambda: now)
    for id in range(100):
        now += 0.5
        progress([event("started", "tasks.A", id), event("done", "tasks.A", id)])
    progress.__exit__(None, None, None)
    written = pipe.getvalue().splitlines()
    assert len(written) == 6
    assert written[0] == "taskproc: 20/101 tasks done, now A 20/100, after 0:10"


def test_without_a_stream_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress({"tasks.A": 1}) as progress:
        progress([event("done", "tasks.A", 0)])


def test_a_notebook_has_bars_though_it_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    made: list[Any] = []

    def note(classes: Any, stream: Any, room: int) -> _Nothing:
        made.append((len(classes), room))
        return _Nothing()

    monkeypatch.setattr(module, "Bars", note)
    with Progress({f"tasks.A{number}": 1 for number in range(30)}, io.StringIO()):
        pass
    assert made == [(30, 30)]


class _Nothing:
    def show(self, changed: Any) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


def grown(task: str, planned: int) -> Event:
    return Event(time.time(), "grown", task, -1, "", "", {"planned": planned, "cached": 0})


def test_tasks_that_are_added_to_a_run_count_and_a_new_class_gets_a_bar() -> None:
    terminal = Terminal()
    with Progress({"tasks.Split": 1}, terminal) as progress:
        progress([event("done", "tasks.Split", 0), grown("tasks.Line", 3)])
        progress([event("done", "tasks.Line", 0), event("started", "tasks.Line", 1)])
        split, line = terminal.shown
        assert "1/1" in split
        assert "Line" in line
        assert "1/3" in line
        assert "1 running" in line


def test_tasks_that_are_added_to_a_run_count_in_lines() -> None:
    stream = io.StringIO()
    with Progress({"tasks.Split": 1}, stream) as progress:
        progress([event("done", "tasks.Split", 0), grown("tasks.Line", 3), event("done", "tasks.Line", 0)])
    assert "2/4 tasks done" in stream.getvalue()
