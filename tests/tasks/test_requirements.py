"""Requirements: how they are declared, what they may hold, and what reading them gives."""
from __future__ import annotations

import os
import subprocess
import sys
import typing
from typing import Any

import pytest

import taskproc
from taskproc import Const, Req, Requires, RequiresDict, RequiresList, Task, TaskBase
from taskproc.base.errors import TaskDefinitionError
from taskproc.tasks.requires import MappedTask, convert, parts
from tests.support import ScriptRunner

if typing.TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

pytestmark = pytest.mark.usefixtures("cache")


class Value(TaskBase):
    def __init__(self, value: Any):
        self.value = value

    def run_task(self) -> Any:
        return self.value


class Typed(TaskBase):
    def run_task(self) -> list[int]:
        return [1]


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

    def test_class_body_may_set_it(self):
        class WithDefaults(TaskBase):
            up: Requires[int] = Value(4)
            const: Requires[int] = Const(5)
            many: RequiresList[int] = [Value(1)]

            def __init__(self, n: int):
                self.many.append(Value(n))  # type: ignore[arg-type]
                if n:
                    self.const = Const(n)

            def run_task(self) -> Any:
                return self.up, self.const, self.many

        class Child(WithDefaults):
            up: Requires[int] = Value(6)

        assert names(WithDefaults) == ("const", "many", "up")
        assert result(WithDefaults(0)) == (4, 5, [1, 0])
        assert result(WithDefaults(2)) == (4, 2, [1, 2])
        assert result(Child(3)) == (6, 3, [1, 3])

    def test_class_body_counts_where_the_class_travels_by_value(self, run_script: ScriptRunner):
        ended = run_script("""
            from taskproc import Requires, RequiresList, TaskBase
            class Load(TaskBase):
                def __init__(self, n):
                    self.n = n
                def run_task(self):
                    return self.n
            class Main(TaskBase):
                one: Requires[int] = Load(1)
                many: RequiresList[int] = [Load(2), Load(3)]
                def run_task(self):
                    return self.one, self.many
            class Outer(TaskBase):
                def run_task(self):
                    return Main().run_graph()
            print(Outer().run_graph(backend="process"))
        """)
        assert ended.out.split() == ["(1,", "[2,", "3])"]

    def test_class_body_may_not_set_it_to_anything_else(self):
        with pytest.raises(TaskDefinitionError, match=r"Wrong\.up is 5 .* not a task; wrap a fixed value as Const"):

            class Wrong(TaskBase):
                up: Requires[int] = 5  # type: ignore[assignment]

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

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (None, "wrap a fixed value as Const"),
            (Value, "call it to make a task"),
            ([[Value(1)]], "into one dict, with keys such as"),
            ({Value(1)}, "a set has no order, so put the tasks into a list"),
            (Const([Value(1)]), "a Const is a fixed value, and the task in it would not be run"),
        ],
        ids=["none", "class", "nested", "set", "const"],
    )
    def test_refusal_says_what_would_be_right(self, wrong: Any, said: str):
        class Holds(TaskBase):
            up: Requires[Any]

            def __init__(self) -> None:
                self.up = wrong

        with pytest.raises(TaskDefinitionError, match=said):
            Holds()

    @pytest.mark.parametrize(
        "given",
        [
            lambda: (Value(n) for n in (1, 2)),
            lambda: map(Value, (1, 2)),
            lambda: {"a": Value(1), "b": Value(2)}.values(),
            lambda: {Value(1): None, Value(2): None}.keys(),
            lambda: reversed([Value(2), Value(1)]),
        ],
        ids=["generator", "map", "values", "keys", "reversed"],
    )
    def test_what_gives_tasks_one_by_one_is_a_list(self, given: Any):
        class Reads(TaskBase):
            up: RequiresList[int]

            def __init__(self) -> None:
                self.up = given()
                assert list(self.up) == list(self.up) == [Value(1), Value(2)]

            def run_task(self) -> list[int]:
                return self.up

        assert result(Reads()) == [1, 2]

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


class TestReadingInInit:
    def test_gives_what_was_put_there(self):
        class Reads(TaskBase):
            one: Requires[Any]
            many: RequiresList[Any]

            def __init__(self) -> None:
                self.one, self.many = Value([1]), [Value(2)]
                assert self.one is Value([1])  # type: ignore[comparison-overlap]
                assert self.many == [Value(2)]
                self.many = [self.one[0], *self.many]

            def run_task(self) -> Any:
                return self.many

        assert result(Reads()) == [1, 2]

    @pytest.mark.parametrize(
        "use",
        [
            lambda self: [n for n in self.one],  # noqa: C416
            lambda self: self.one + 1,
            lambda self: len(self.one),
            lambda self: range(self.one),
            lambda self: self.one.shape,
            lambda self: sum(self.many),
            lambda self: open(self.one),  # noqa: SIM115
            lambda self: f"{self.one:.2f}",
        ],
        ids=["iterate", "add", "len", "range", "attribute", "sum", "open", "format"],
    )
    def test_no_result_can_be_had_not_even_an_old_one(self, use: Any):
        class Hasty(TaskBase):
            one: Requires[Any]
            many: RequiresList[int]

            def __init__(self) -> None:
                self.one, self.many = Value([1, 2]), [Value(1)]
                use(self)

        result(Value([1, 2]))
        with pytest.raises(TaskDefinitionError) as caught:
            Hasty()
        assert "Hasty.__init__ takes self." in str(caught.value)
        assert "which has none yet" in str(caught.value)
        assert "Use the result in run_task" in str(caught.value)

    def test_other_errors_of_a_constructor_stay_what_they_are(self):
        class Wrong(TaskBase):
            one: Requires[Any]

            def __init__(self) -> None:
                self.one = Value(1)
                len(5)  # type: ignore[arg-type]

        with pytest.raises(TypeError, match=r"^object of type 'int' has no len\(\)$"):
            Wrong()


class TestHeldButNotDeclared:
    @pytest.mark.parametrize(
        ("held", "line"),
        [
            (lambda: Typed(), "`data: Requires[list[int]]`"),
            (lambda: Value(1), "`data: Requires[Any]`"),
            (lambda: Typed()[0], "`data: Requires[Any]`"),
            (lambda: [Typed(), Typed()], "`data: RequiresList[list[int]]`"),
            (lambda: {"a": Typed()}, "`data: RequiresDict[str, list[int]]`"),
            (lambda: {1: Typed(), "b": Value(1)}, "`data: RequiresDict[Any, Any]`"),
            (lambda: {"a": [Typed()]}, "declared as RequiresList or RequiresDict"),
            (lambda: Const(Typed()), "Put the task into an attribute of its own"),
        ],
        ids=["task", "any", "part", "list", "dict", "mixed", "deep", "const"],
    )
    def test_is_an_error_that_writes_the_line(self, held: Any, line: str):
        class Holds(TaskBase):
            def __init__(self) -> None:
                self.data = held()

            def run_task(self) -> None: ...

        with pytest.raises(TaskDefinitionError) as caught:
            Holds()
        assert "Holds: self.data holds " in str(caught.value)
        assert line in str(caught.value)

    def test_also_when_it_came_as_an_argument(self):
        class Keeps(TaskBase):
            def __init__(self, source: Task[int], n: int = 1):
                self.source = source

            def run_task(self) -> None: ...

        with pytest.raises(TaskDefinitionError, match=r"self\.source holds Value\(value=1\)"):
            Keeps(Value(1))

    def test_in_a_class_body_too(self):
        with pytest.raises(TaskDefinitionError, match=r"data holds Typed\(\).*: Requires\[list\[int\]\] = \.\.\.`"):

            class Holds(TaskBase):
                data = Typed()

    def test_a_task_that_is_required_may_be_held_too(self):
        class Holds(TaskBase):
            up: Requires[Any]

            def __init__(self) -> None:
                self.up = self.task = Value(1)

            def run_task(self) -> Any:
                return self.up, self.task.task_args

        assert result(Holds()) == (1, {"value": 1})

    def test_a_task_may_hold_itself(self):
        class Holds(TaskBase):
            def __init__(self, n: int):
                vars(self).update(locals())

            def run_task(self) -> int:
                return self.n  # type: ignore[attr-defined, no-any-return]

        assert result(Holds(3)) == 3


class TestShapes:
    def test_keys_without_an_order_of_their_own_come_in_one_order(self):
        keys = [frozenset("abc"), frozenset(), (1, frozenset("xy")), "text", 5]
        one = [key for key, _ in parts(dict.fromkeys(keys, 0))]
        assert one == [key for key, _ in parts(dict.fromkeys(keys[::-1], 0))]

    def test_one_order_for_every_hash_seed(self):
        code = (
            "from taskproc.tasks.requires import parts\n"
            "held = {frozenset(k): i for i, k in enumerate(['abc', 'xyz', 'bcd', 'q'])}\n"
            "held[frozenset({(1, frozenset('ab')), (2, frozenset('cd'))})] = 9\n"
            "print(list(parts({k: held[k] for k in set(held)})))"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, text=True,
                capture_output=True, check=True,
            ).stdout
            for seed in ("0", "1", "2", "3")
        }
        assert len(said) == 1

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
