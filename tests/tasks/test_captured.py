"""A class that is defined in a function, or in a loop, counts with what it has from there."""
from __future__ import annotations

import threading
from typing import Any

import pytest

from taskproc import Requires, RequiresList, TaskBase, TaskDefinitionError
from taskproc.tasks.node import Node
from taskproc.tasks.source import normalised_source

pytestmark = pytest.mark.usefixtures("cache")

WEIGHT = 3


def weighted(n: int) -> int:
    return WEIGHT * n


def make(value: Any, attribute: Any = 0) -> type[TaskBase[Any]]:
    class Made(TaskBase):
        kept = attribute

        def run_task(self) -> Any:
            return value, self.kept

    return Made


def make_with_default(value: Any) -> type[TaskBase[Any]]:
    class Made(TaskBase):
        def run_task(self, k: Any = value) -> Any:
            return k

    return Made


def make_by_helper(value: Any) -> type[TaskBase[Any]]:
    def inner() -> Any:
        return value

    class Made(TaskBase):
        def run_task(self) -> Any:
            return inner()

    return Made


def run(task: Any) -> Any:
    return task.run_graph(backend="thread")


def text_of(cls: type) -> str:
    text = normalised_source(cls, Node)
    assert text is not None
    return text


@pytest.mark.parametrize("maker", [make, make_with_default, make_by_helper], ids=["cell", "default", "inner function"])
@pytest.mark.parametrize(("one", "other"), [(1, 2), (1, True), ([1], (1,)), ({"a": 1}, {"a": 2}), ("x", b"x")])
def test_classes_that_captured_different_values_have_different_sources(maker: Any, one: Any, other: Any) -> None:
    assert text_of(maker(one)) != text_of(maker(other))
    assert text_of(maker(one)) == text_of(maker(one))


def test_attributes_from_the_function_around_count() -> None:
    assert text_of(make(0, 1)) != text_of(make(0, 2))


def test_captured_function_counts_by_what_it_reaches() -> None:
    text = text_of(make(weighted))
    assert "def weighted(n: int)" in text
    assert "WEIGHT = 3" in text


def test_captured_local_function_and_class_count_by_their_text() -> None:
    def local() -> int:
        return 41

    class Settings:
        size = 42

    assert "return 41" in text_of(make(local))
    assert "size = 42" in text_of(make(Settings))


def test_results_of_a_factory_are_those_of_the_class_that_ran() -> None:
    double, triple = make(2), make(3)
    assert [run(cls()) for cls in (double, triple, double)] == [(2, 0), (3, 0), (2, 0)]


def test_what_cannot_be_written_down_is_refused_by_name() -> None:
    with pytest.raises(TaskDefinitionError, match=r"Made is defined in a function or a loop and holds value"):
        run(make(threading.Lock())())


def test_classes_of_a_loop_are_told_apart() -> None:
    made = []
    for number in (1, 2):

        class InLoop(TaskBase):
            factor = number

            def run_task(self) -> int:
                return self.factor * 10

        made.append(InLoop)
    assert [run(cls()) for cls in made] == [10, 20]


def test_two_classes_of_one_name_are_refused_in_one_graph() -> None:
    class Both(TaskBase):
        parts: RequiresList[Any]

        def __init__(self) -> None:
            self.parts = [make(2)(), make(3)()]

        def run_task(self) -> list[Any]:
            return list(self.parts)

    with pytest.raises(TaskDefinitionError, match=r"two classes of one graph are called .*make\.<locals>\.Made"):
        run(Both())


def test_construction_after_a_redefinition_uses_the_new_class() -> None:
    made: dict[str, Any] = {"cls": make(1)}

    class User(TaskBase):
        part: Requires[Any]

        def __init__(self) -> None:
            self.part = made["cls"]()

        def run_task(self) -> Any:
            return 0

    held = User()
    assert User() is held
    made["cls"] = make(2)
    assert User() is not held
    assert type(User()._task.upstreams[0]) is made["cls"]  # type: ignore[union-attr]
