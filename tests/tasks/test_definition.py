"""Classes whose tasks could not run, or would give None without a word, are refused as early as can be."""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytest

from taskproc import Const, Requires, TaskBase
from taskproc.base.errors import TaskDefinitionError

pytestmark = pytest.mark.usefixtures("cache")


class TestMethodsThatCannotRun:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("async def run_task(self): ...", "run_task is async"),
            ("async def run_task(self): yield 1", "run_task is async"),
            ("def run_task(self): yield 1", "run_task yields"),
            ("def run_task(self, data): ...", "takes arguments beside self"),
            ("def run_task(self, *, data): ...", "takes arguments beside self"),
            ("def run_task(): ...", "does not take self"),
            ("run_task = 5", "is 5, which is no method"),
            ("def run(self): ...", "it defines run, but what computes a task's result is run_task; rename it"),
        ],
    )
    def test_are_refused_with_the_class(self, body: str, said: str):
        with pytest.raises(TaskDefinitionError, match=f"Wrong: .*{said}"):
            exec(f"class Wrong(TaskBase):\n    {body}", {"TaskBase": TaskBase, "__name__": __name__})

    @pytest.mark.parametrize(
        "body",
        [
            "def run_task(self, data=1, **more): ...",
            "def run_task(*args): ...",
            "run_task = lambda self: 5",
            "@staticmethod\n    def run_task(): ...",
            "def run(self): ...\n    def run_task(self): ...",
        ],
    )
    def test_others_are_not(self, body: str):
        exec(f"class Right(TaskBase):\n    {body}", {"TaskBase": TaskBase, "__name__": __name__})


class TestBasesAndMixins:
    def test_run_may_be_a_part_of_an_inherited_run_task(self):
        class Base(TaskBase):
            def run_task(self) -> Any:
                return self.run()

            def run(self) -> Any: ...

        class Child(Base):
            def run(self) -> int:
                return 3

        assert Child().run_graph(backend="thread") == 3

    def test_run_may_be_abstract(self):
        class Base(TaskBase):
            @abstractmethod
            def run(self) -> Any: ...

        class Child(Base):
            def run(self) -> int:
                return 4

            def run_task(self) -> int:
                return self.run()

        assert Child().run_graph(backend="thread") == 4

    def test_mixin_gives_run_task(self):
        class Mixin:
            def run_task(self) -> int:
                return 5

        class Right(Mixin, TaskBase): ...

        assert Right().run_graph(backend="thread") == 5
        with pytest.raises(TaskDefinitionError, match=r"TaskBase comes before .*Mixin, so its run_task is never"):

            class Wrong(TaskBase, Mixin): ...


class TestNothingToRun:
    def test_methods_without_run_task_are_refused_when_a_task_is_made(self):
        class Base(TaskBase):
            def compute(self) -> int:
                return 1

        class Child(Base):
            def run_task(self) -> int:
                return self.compute()

        assert Child().run_graph(backend="thread") == 1
        with pytest.raises(TaskDefinitionError, match="it has compute, but no run_task, and requires no tasks"):
            Base()

    def test_a_class_that_groups_others_gives_none(self):
        class Groups(TaskBase):
            up: Requires[int]

            def __init__(self) -> None:
                self.up = Const(1)
                self.help()

            def help(self) -> None: ...

        assert Groups().run_graph(backend="thread") is None

    def test_a_class_that_is_still_empty_gives_none(self):
        class Empty(TaskBase):
            def __init__(self, n: int): ...

        assert Empty(1).run_graph(backend="thread") is None
