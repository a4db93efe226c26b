"""Construction nests as deep as the graph, once per task, with errors and context where they belong."""
from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from typing import Any

import pytest

from taskproc import Const, Requires, RequiresList, TaskBase
from taskproc.base.errors import CycleError, TaskDefinitionError
from taskproc.tasks import construction

pytestmark = pytest.mark.usefixtures("cache")

DEPTH = 5000
word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="outside")


class Chain(TaskBase):
    up: Requires[int]

    def __init__(self, n: int):
        self.up = Chain(n - 1) if n else Const(0)

    def run_task(self) -> int:
        return self.up + 1


class Probe(TaskBase):
    up: Requires[int]

    def __init__(self, n: int, what: str):
        if n:
            self.up = Probe(n - 1, what)
        elif what == "fails":
            msg = "at the bottom"
            raise ZeroDivisionError(msg)
        else:
            self.seen = word.get()
            self.up = Const(0)


def bottom(task: Any) -> Any:
    while task._task.upstreams:
        task = task._task.upstreams[0]
    return task


def test_depth_is_no_matter_of_the_stack():
    assert len(_line(Chain(DEPTH))) == DEPTH + 1


def test_no_thread_is_left():
    before = threading.active_count()
    Chain(DEPTH + 1)
    assert threading.active_count() == before


def test_context_variables_reach_the_bottom():
    token = word.set("inside")
    try:
        assert bottom(Probe(1000, "context")).seen == "inside"
    finally:
        word.reset(token)


def test_exception_arrives_with_its_type():
    with pytest.raises(ZeroDivisionError, match="at the bottom"):
        Probe(1000, "fails")


def test_shared_upstreams_are_built_once(monkeypatch: pytest.MonkeyPatch):
    built = []

    class Grid(TaskBase):
        left: Requires[int]
        up: Requires[int]

        def __init__(self, x: int, y: int):
            built.append((x, y))
            self.left = Grid(x - 1, y) if x else Const(0)
            self.up = Grid(x, y - 1) if y else Const(0)

    Grid(30, 30)
    assert len(built) == len(set(built)) == 31 * 31


def test_threads_that_build_the_same_tasks_end_with_the_same_instances():
    barrier = threading.Barrier(4)
    made = []

    def build() -> None:
        barrier.wait()
        made.append(Chain(500))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, made))) == 1


def test_cycle_is_shown_as_a_path():
    class Ring(TaskBase):
        up: Requires[int]

        def __init__(self, n: int):
            self.up = Ring((n + 1) % 3)

    with pytest.raises(CycleError, match=r"Ring\(n=0\) -> Ring\(n=1\) -> Ring\(n=2\) -> Ring\(n=0\)$"):
        Ring(0)


def test_cycle_at_the_end_of_a_long_path_shows_only_the_cycle():
    class Lasso(TaskBase):
        up: Requires[int]

        def __init__(self, n: int):
            self.up = Lasso(n + 1 if n < 900 else 0)

    with pytest.raises(CycleError, match=r"Lasso\(n=0\) -> .* more \.\.\. .* -> Lasso\(n=0\)$"):
        Lasso(0)


def test_endless_nesting_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(construction, "MAX_LEVELS", 700)

    class Endless(TaskBase):
        up: Requires[int]

        def __init__(self, n: int):
            self.up = Endless(n + 1)

    with pytest.raises(TaskDefinitionError, match=r"more than 700 levels deep.*Endless\(n=700\)"):
        Endless(0)


def test_constructor_that_catches_an_upstreams_error_may_go_on():
    class Fussy(TaskBase):
        def __init__(self, n: int):
            if n > 2:
                raise ValueError(n)

    class Forgiving(TaskBase):
        up: Requires[Any]

        def __init__(self, n: int):
            try:
                self.up = Fussy(n)
            except ValueError:
                self.up = Const(None)

    assert bottom(Forgiving(1)) is Fussy(1)
    assert Forgiving(3)._task.upstreams == ()


def _line(task: Any) -> list[Any]:
    line = [task]
    while line[-1]._task.upstreams:
        line.append(line[-1]._task.upstreams[0])
    return line


class Grid(TaskBase):
    ups: RequiresList[int]
    made = 0

    def __init__(self, n: int, k: int):
        Grid.made += 1
        self.ups = [Grid(n - 1, k - 1), Grid(n - 1, k)] if 0 < k < n else []

    def run_task(self) -> int:
        return sum(self.ups) or 1


class Follows(TaskBase):
    up: Requires[int]

    def __init__(self, n: int):
        self.up = First()
        self.seen = word.get()

    def run_task(self) -> int:
        return self.up


class First(TaskBase):
    def run_task(self) -> int:
        return 1


def build_bottom_up(width: int) -> None:
    for n in range(width):
        for k in range(n + 1):
            Grid(n, k)


def test_a_graph_that_nobody_holds_is_built_bottom_up_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Grid, "made", 0)
    build_bottom_up(30)
    inner = sum(max(0, n - 1) for n in range(30))
    assert Grid.made <= inner + 5 * 30, "of what needs nothing, some are made again"


def test_what_was_built_is_let_go_when_a_graph_is_taken():
    gone = weakref.ref(Follows(1))
    assert gone() is not None
    First().run_graph()
    gc.collect()
    assert gone() is None


def test_what_was_built_is_let_go_after_a_while(monkeypatch: pytest.MonkeyPatch):
    gone = weakref.ref(Follows(2))
    monkeypatch.setattr(construction, "_PAUSE", 0.0)
    Follows(3)
    Follows(4)
    gc.collect()
    assert gone() is None


def test_few_tasks_are_kept_alive(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(construction, "recent", construction._Recent())
    first = weakref.ref(Follows(5))
    for n in range(construction._MOST_KEPT):
        Follows(10 + n)
    gc.collect()
    assert first() is None
    assert len(construction.recent.tasks) == construction._MOST_KEPT


def test_a_task_that_nobody_holds_is_constructed_anew_when_it_is_asked_for():
    token = word.set("before")
    Follows(6)
    word.reset(token)
    assert Follows(6).seen == "outside"  # type: ignore[attr-defined]
    held = Follows(6)
    assert Follows(6) is held
