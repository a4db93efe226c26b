"""Requirements: how they are declared, what they may hold, and what reading them gives."""
from __future__ import annotations

import typing
from typing import Any

import pytest

import taskproc
from taskproc import Const, Req, Requires, RequiresDict, RequiresList, Task, TaskBase
from taskproc.base.errors import TaskDefinitionError
from taskproc.tasks.requires import MappedTask, convert, parts

if typing.TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

pytestmark = pytest.mark.usefixtures("cache")


class Value(TaskBase):
    def __init__(self, value: Any):
        self.value = value

    def run_task(self) -> Any:
        return self.value


class Base(TaskBase):
    up: Requires[Any]

    def run_task(self) -> Any:
        return self.up


def result(task: Any) -> Any:
    return task.run_graph(backend="thread")


def names(cls: type) -> tuple[str, ...]:
    return cls._task_config.requirements  # type: ignore[attr-defined, no-any-return]


class TestDeclaration:
    def test_annotations_as_text_and_through_modules(self):
        class Declares(TaskBase):
            one: Requires[OnlyForTypeCheckers]
            two: taskproc.RequiresList[int]
            three: RequiresDict[str, OnlyForTypeCheckers]
            four: Req[Task[int], int]
            other: list[int]
            text: str = "x"

        assert names(Declares) == ("four", "one", "three", "two")

    def test_inherited_requirements_count(self):
        class Child(Base):
            more: Requires[int]

            def __init__(self) -> None:
                self.up, self.more = Value(1), Value(2)

        assert names(Child) == ("more", "up")
        assert result(Child()) == 1

    def test_requirement_may_be_overridden_by_a_plain_attribute(self):
        class Fixed(Base):
            up = 5  # type: ignore[assignment]

        assert names(Fixed) == ()
        assert result(Fixed()) == 5

    def test_attribute_with_a_value_is_no_requirement(self):
        class WithDefault(TaskBase):
            up: Requires[int] = Const(4)  # type: ignore[assignment]

        assert names(WithDefault) == ()

    def test_reading_the_class_attribute_gives_the_declaration(self):
        assert isinstance(Base.up, Req)

    def test_generic_task_classes_work(self):
        class Typed(TaskBase[int]):
            def run_task(self) -> int:
                return 3

        assert result(Typed()) == 3


class TestWhatTheyHold:
    @pytest.mark.parametrize(
        ("held", "read"),
        [
            (lambda: Value(1), 1),
            (lambda: Const(1), 1),
            (list, []),
            (dict, {}),
            (lambda: [Value(1), Const(2), Value([3])[0]], [1, 2, 3]),
            (lambda: (Value(1), Value(1)), [1, 1]),
            (lambda: {"b": Value(1), "a": Const(2), 3: Value({"k": [5]})["k"][0]}, {"b": 1, "a": 2, 3: 5}),
            (lambda: Value([[[7]]])[0][0][0], 7),
            (lambda: Value({(1, 2): "tuple"})[(1, 2)], "tuple"),
            (lambda: Value("text")[0], "t"),
        ],
    )
    def test_reading_gives_results_in_the_same_shape(self, either_store: str, held: Any, read: Any):
        class Reads(TaskBase):
            up: Requires[Any]

            def __init__(self, held: Any):
                self.up = held

            def run_task(self) -> Any:
                return self.up

        got = result(Reads(held()))
        assert got == read
        if isinstance(read, dict):
            assert list(got) == list(read)

    def test_requirement_is_read_through_get_task_result_of_done_upstreams(self):
        class Child(Base):
            def __init__(self) -> None:
                self.up = Value("there")

        result(Child())
        assert Child().up == "there"

    @pytest.mark.parametrize("wrong", [None, 1, "text", [1], {"k": 1}, Value, [Value], [[Value]], object()])
    def test_what_is_not_a_task_is_refused(self, wrong: Any):
        class Holds(TaskBase):
            up: Requires[Any]

            def __init__(self) -> None:
                self.up = wrong

        with pytest.raises(TaskDefinitionError, match=r"Holds\.up"):
            Holds()

    def test_reading_before_setting_says_so(self):
        class Hasty(TaskBase):
            up: Requires[int]

            def __init__(self) -> None:
                self.up  # noqa: B018

        with pytest.raises(AttributeError, match=r"Hasty\.up is not set yet"):
            Hasty()

    def test_unset_requirement_of_a_base_class_is_named(self):
        with pytest.raises(TaskDefinitionError, match=r"Base\.up is not set"):
            Base()

    def test_results_are_separate_objects_per_task(self):
        class Spoils(TaskBase):
            up: Requires[list[int]]

            def __init__(self, n: int):
                self.up = Value([1])

            def run_task(self) -> int:
                self.up.append(2)
                return len(self.up)

        class Both(TaskBase):
            parts: RequiresList[int]

            def __init__(self) -> None:
                self.parts = [Spoils(1), Spoils(2)]

            def run_task(self) -> list[int]:
                return self.parts

        assert result(Both()) == [2, 2]

    @pytest.mark.parametrize("task", [Value([1, 2]), Value([[1]])[0]], ids=["task", "part of a task"])
    def test_a_task_is_no_sequence_of_its_parts(self, task: Any):
        with pytest.raises(TypeError, match="not iterable"):
            list(task)


class TestShapes:
    def test_parts_of_a_dict_come_sorted(self):
        assert [key for key, _ in parts({"b": 1, "a": 2, 10: 3})] == ["10", "a", "b"]

    def test_convert_keeps_shape_and_constants(self):
        const = Const(0)
        converted = convert({"a": [1, const], "b": MappedTask(2, "k")}, lambda task: -task)
        assert converted["a"] == [-1, const]
        assert (converted["b"].task, converted["b"].key) == (-2, "k")

    def test_mapped_task_knows_its_origin_and_keys(self):
        mapped = Value({})["a"][0]
        assert mapped.get_origin() is Value({})
        assert mapped.get_args() == ["a", 0]
        assert repr(mapped) == "Value(value={})['a'][0]"
