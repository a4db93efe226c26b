"""What workers have in place of `typing` and its like does as these do, and keeps them from being imported."""
from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import typing
from pathlib import Path
from typing import Generic, TypeVar

import pytest

import taskproc
from taskproc import Req, Requires, RequiresDict, RequiresList, Task, TaskBase
from taskproc.base.lean import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"re", "enum", "typing", "pickle", "threading", "contextlib", "json", "dataclasses", "inspect", "signal"}
HEAVIER = {"networkx", "cloudpickle", "click", "tqdm", "pluggy", "diskcache", "psutil", "sqlite3", "logging", "asyncio"}

T = TypeVar("T")
K = TypeVar("K")


@pytest.mark.parametrize("program", ["pipe", "file", "element"])
def test_a_worker_imports_little(program: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from taskproc import Const, Requires, RequiresList, TaskBase\n"
        "class One(TaskBase):\n"
        "    part: Requires[int]\n"
        "    parts: RequiresList[int]\n"
    )
    code = (
        f"import sys, taskproc.work.{program}, taskproc.work.capture, tasks\n"
        f"print(*({HEAVY | HEAVIER} & set(sys.modules)))"
    )
    # -I: neither the tests' coverage nor a user's own start files count.
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]\n"
    done = subprocess.run([sys.executable, "-IS", "-c", paths + code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_requirement_can_be_told_by_its_annotation() -> None:
    class Parts(TaskBase[int]):
        one: Requires[int]
        text: "RequiresList[Missing]"  # type: ignore[name-defined]  # noqa: F821, UP037
        named: "taskproc.RequiresDict[str, int]"  # noqa: UP037
        bare: Req
        plain: int

    assert Parts._task_config.requirements == ("bare", "named", "one", "text")
    assert typing.get_origin(Requires[int]) is Requires
    assert typing.get_args(RequiresDict[str, int]) == (str, int)
    assert isinstance(Requires(), Req)


def test_generic_tasks() -> None:
    class Of(TaskBase[T], Generic[T]):
        def __init__(self, n: int):
            self.n = n

        def run_task(self) -> T:
            return self.n  # type: ignore[return-value]

    class Plain(TaskBase[T]):
        pass

    class OfInt(Of[int]):
        pass

    class OfText(Plain[str]):
        pass

    assert OfInt(1) is OfInt(1)
    assert issubclass(OfInt, Of)
    assert issubclass(OfText, TaskBase)
    assert Of.__parameters__ == (T,)  # type: ignore[attr-defined]


def test_task_is_a_union_for_annotations() -> None:
    alternatives = typing.get_args(Task[int] | None)
    assert type(None) in alternatives
    assert taskproc.Task is Task
    assert taskproc.task.Task is Task
    assert "Task" in taskproc.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Tsk'"):
        taskproc.Tsk  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'Tsk'"):
        taskproc.task.Tsk  # noqa: B018


def test_aliases_of_requirements() -> None:
    class Held(TaskBase):
        values: Many[int]

    assert Held._task_config.requirements == ("values",)


Many = RequiresList[T]


class Point(NamedTuple):
    """Two numbers."""

    x: int
    y: int = 0

    def sum(self) -> int:
        return self.x + self.y


def test_named_tuples() -> None:
    point = Point(3)
    assert (point.x, point.y, point.sum()) == (3, 0, 3)
    assert point == (3, 0) == Point(x=3, y=0)
    assert repr(point) == "Point(x=3, y=0)"
    assert point._replace(y=4).sum() == 7
    assert pickle.loads(pickle.dumps(point)) == copy.copy(point) == point
    assert type(pickle.loads(pickle.dumps(point))) is Point
    assert Point.__doc__ == "Two numbers."
    assert not hasattr(point, "__dict__")
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_pickle_without_its_half_in_c(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['_pickle'] = None\n"
        "from taskproc.base.lean import pickle\nprint(pickle.loads(pickle.dumps([1, 2], 5)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "[1, 2]\n", done.stderr


def test_a_run_with_nothing_to_do_imports_nothing_to_do_it_with(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from taskproc import TaskBase\nclass One(TaskBase):\n    def run_task(self):\n        return 1\n"
    )
    idle = {"hashlib", "shutil", "socket", "concurrent.futures", "pluggy", "diskcache", "networkx"}
    idle |= {f"taskproc.{name}" for name in ("plugin", "run.chronicle", "run.session", "runs.ledger")}
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]\nimport tasks\n"
        "assert tasks.One().run_graph(backend='thread') == 1\n"
        f"print(*({idle!r} & set(sys.modules)))"
    )
    ran, found_cached = (
        subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert "taskproc.run.session" in ran.stdout
    assert found_cached.stdout.split() == []
