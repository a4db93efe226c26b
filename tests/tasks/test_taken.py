"""What a task is made of is taken when it is constructed: nobody's later change reaches it.

| changed | when | what becomes of it |
|--|--|--|
| a list, dict, set or byte array that was passed | after the call | no effect |
| one inside a tuple, dataclass, named tuple, `Const` or part of a result | after the call | no effect |
| a default of `__init__` | by the constructor | no effect on the next call |
| an argument | by the constructor | kept by the task; not shown, and not its caller's |
| an attribute, or a container in one | between construction and run | refused by name |
| what a requirement was set to | after `__init__` | no effect, or refused if it is set anew |
"""
from __future__ import annotations

import dataclasses
import enum
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskproc import Const, FailedTaskError, Requires, RequiresDict, RequiresList, TaskBase
from taskproc.base.errors import TaskDefinitionError
from taskproc.tasks.settled import check_unchanged
from taskproc.tasks.taken import alike, taken
from tests.tasks.test_arguments import shape, text_of, values

pytestmark = pytest.mark.usefixtures("cache")

Pair = namedtuple("Pair", "x y")


@dataclasses.dataclass
class Config:
    layers: Any
    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Fixed:
    layers: Any


class Carrying(Pair): ...


class Slotted(Fixed):
    __slots__ = ("hidden",)


@dataclasses.dataclass
class Sized:
    layers: list[int]

    @cached_property
    def size(self) -> int:
        return sum(self.layers)


def _again() -> type:
    """Define `Fixed` again, as a notebook's cell does that runs a second time."""
    made = dataclasses.make_dataclass("Fixed", ["layers"], frozen=True)
    made.__module__ = __name__
    return made


class Shows(TaskBase):
    def __init__(self, given: Any):
        self.given = given

    def run_task(self) -> Any:
        return self.given


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


def append(value: list[int]) -> None:
    value.append(3)


class TestArguments:
    @pytest.mark.parametrize(
        ("make", "change"),
        [
            (lambda: [1, 2], append),
            (lambda: {"a": 1}, lambda value: value.update(a=2)),
            (lambda: {1, 2}, lambda value: value.add(3)),
            (lambda: bytearray(b"ab"), lambda value: value.append(99)),
            (lambda: ([1],), lambda value: append(value[0])),
            (lambda: {"a": {"b": [1]}}, lambda value: append(value["a"]["b"])),
            (lambda: Pair([1], 2), lambda value: append(value.x)),
            (lambda: Config([1]), lambda value: append(value.layers)),
            (lambda: Config([1]), lambda value: setattr(value, "rate", 5)),
            (lambda: Fixed([1]), lambda value: append(value.layers)),
            (lambda: Const([1]), lambda value: append(value.value)),
            (lambda: Shows(1)[{"columns": [1]}], lambda value: append(value.key["columns"])),
            (lambda: {(1, Fixed((2,))): [1]}, lambda value: append(next(iter(value.values())))),
        ],
        ids=[
            "list", "dict", "set", "bytes", "tuple", "deep", "pair", "dataclass", "field", "frozen", "const", "part",
            "keys",
        ],
    )
    def test_later_change_of_what_was_passed_has_no_effect(self, make: Callable[[], Any], change: Callable[[Any], Any]):
        class Looks(TaskBase):
            def __init__(self, given: Any):
                self.seen = text_of(given)

        value = make()
        before = Looks(value)
        shown = before.task_args
        change(value)
        assert before.task_args == shown
        assert Looks(make()) is before
        assert Looks(value) is not before
        assert Looks(value).seen != before.seen

    @pytest.mark.parametrize("backend", ["thread", "process"])
    def test_one_dict_reused_in_a_loop_makes_different_tasks(self, backend: str):
        config, tasks = {}, []
        for rate in (1, 2, 3):
            config["rate"] = rate
            tasks.append(Shows(config))
        assert [task.run_graph(backend=backend) for task in tasks] == [{"rate": rate} for rate in (1, 2, 3)]
        assert [Shows({"rate": rate}).get_task_result() for rate in (1, 2, 3)] == [{"rate": rate} for rate in (1, 2, 3)]

    def test_mutable_default_is_each_calls_own(self):
        class Grows(TaskBase):
            def __init__(self, n: int, seen: list[int] = []):  # noqa: B006
                seen.append(n)
                self.seen = seen

            def run_task(self) -> list[int]:
                return self.seen

        assert [Grows(n).run_graph(backend="thread") for n in range(3)] == [[0], [1], [2]]

    def test_constructor_may_change_what_it_got(self):
        class Completes(TaskBase):
            def __init__(self, config: dict[str, int], *rest: list[int], **more: list[int]):
                config.setdefault("seed", 7)
                for items in (*rest, *more.values()):
                    items.clear()
                self.config = config

            def run_task(self) -> Any:
                return self.config

        config, rest, more = {"rate": 1}, [1], [2]
        task = Completes(config, rest, more=more)
        assert (config, rest, more) == ({"rate": 1}, [1], [2])
        assert task.task_args == {"config": {"rate": 1}, "rest": [[1]], "more": {"more": [2]}}
        assert task.run_graph(backend="thread") == {"rate": 1, "seed": 7}
        assert Completes({"rate": 1}, [1], more=[2]) is task

    def test_names_taken_by_stars_have_no_order(self):
        class Named(TaskBase):
            def __init__(self, **steps: int):
                self.order = list(steps)

        assert Named(b=1, a=2) is Named(a=2, b=1)
        assert Named(b=1, a=2).order == ["a", "b"]

    def test_what_cannot_change_is_passed_on_as_it_is(self):
        fixed = Fixed((1, 2))
        assert Shows(fixed).given is fixed

    def test_a_default_that_is_compared_by_identity_still_is(self):
        nothing = Fixed(())

        class Optional(TaskBase):
            def __init__(self, config: Any = nothing):
                self.is_given = config is not nothing

        assert not Optional().is_given
        assert Optional(Fixed(("x",))).is_given


class TestStateThatNoFieldShows:
    def test_undecorated_subclass_is_refused_by_name(self):
        class Larger(Config):
            def __init__(self, layers: Any, depth: int):
                super().__init__(layers)
                self.depth = depth

        with pytest.raises(TaskDefinitionError, match=r"argument given is a Larger with the attribute 'depth'"):
            Shows(Larger([1], 2))

    def test_attribute_set_later_is_refused_by_name(self):
        config = Config([1])
        config.extra = 5  # type: ignore[attr-defined]
        with pytest.raises(TaskDefinitionError, match=r"given\['k'\] is a Config with the attribute 'extra'"):
            Shows({"k": config})

    def test_named_tuple_that_carries_more_is_refused_by_name(self):
        pair = Carrying(1, 2)
        assert Shows(pair).given == pair
        pair.more = 3
        with pytest.raises(TaskDefinitionError, match="is a Carrying with the attribute 'more'"):
            Shows(pair)

    def test_slot_that_is_no_field_is_refused_by_name(self):
        value = Slotted(1)
        assert Shows(value).given == value
        object.__setattr__(value, "hidden", 3)
        with pytest.raises(TaskDefinitionError, match="is a Slotted with the attribute 'hidden'"):
            Shows(value)

    @pytest.mark.parametrize("base", [dict, list, int, Exception])
    def test_dataclass_with_the_items_of_a_built_in_type_is_refused(self, base: type):
        kind = dataclasses.make_dataclass("Odd", [("x", int, 1)], bases=(base,))
        with pytest.raises(TaskDefinitionError, match=f"is an Odd with what a .*{base.__name__}.* holds|is an Odd"):
            Shows(kind())

    @pytest.mark.parametrize("kind", ["dataclass", "namedtuple", "enum", "flag"])
    def test_class_that_its_module_does_not_have_is_refused(self, kind):
        made = {
            "dataclass": lambda: dataclasses.make_dataclass("Made", ["x"])(1),
            "namedtuple": lambda: namedtuple("Made", "x")(1),
            "enum": lambda: enum.Enum("Made", "A").A,
            "flag": lambda: enum.Flag("Made", "A").A,
        }[kind]
        with pytest.raises(TaskDefinitionError, match="is a Made whose class"):
            Shows([made()])

    def test_class_that_was_defined_again_is_refused(self, monkeypatch):
        former = Fixed(1)
        monkeypatch.setitem(globals(), "Fixed", _again())
        with pytest.raises(TaskDefinitionError, match=r"is a Fixed which is not what .*test_taken\.Fixed is now"):
            Shows(former)

    def test_living_task_with_a_former_class_is_not_given(self, monkeypatch):
        former = Shows([Fixed(1)])
        monkeypatch.setitem(globals(), "Fixed", _again())
        anew = Shows([Fixed(1)])
        assert anew is not former
        assert type(anew.given[0]) is Fixed
        assert Shows([Fixed(1)]) is anew

    def test_what_follows_from_the_fields_is_fine(self):
        sized = Sized([1, 2])
        assert sized.size == 3
        assert Shows(sized) is Shows(Sized([1, 2]))

    def test_field_that_is_not_set_is_named(self):
        config = Config([1])
        del config.layers
        with pytest.raises(TaskDefinitionError, match="whose field 'layers' is not set"):
            Shows(config)


class TestBetweenConstructionAndRun:
    @pytest.mark.parametrize(
        ("change", "name"),
        [
            (lambda task: task.given.append(4), "given"),
            (lambda task: setattr(task, "given", [1]), "given"),
            (lambda task: setattr(task, "plain", 1.0), "plain"),
            (lambda task: setattr(task, "more", 1), "more"),
            (lambda task: task.deep["a"][0].append(1), "deep"),
        ],
        ids=["append", "set", "plain", "added", "deep"],
    )
    def test_changed_attribute_is_refused_by_name(self, change: Callable[[Any], Any], name: str):
        class Holds(TaskBase):
            def __init__(self, given: list[int]):
                self.given, self.plain, self.deep = given, 1, {"a": ([],)}

        task = Holds([len(name)])
        check_unchanged(task)
        change(task)
        with pytest.raises(TaskDefinitionError, match=rf"Holds\(.*\): self\.{name} was changed after __init__"):
            check_unchanged(task)

    @pytest.mark.parametrize("backend", ["thread", "process"])
    def test_changed_task_does_not_run(self, backend: str):
        task = Shows([len(backend)])
        task.given.append(5)
        with pytest.raises(FailedTaskError, match=r"self\.given was changed after __init__"):
            task.run_graph(backend=backend)
        del task.given[1:]
        assert task.run_graph(backend=backend) == [len(backend)]

    def test_deleted_attribute_is_refused(self):
        task = Shows(12)
        del task.given
        with pytest.raises(TaskDefinitionError, match="an attribute was deleted"):
            check_unchanged(task)

    def test_what_follows_from_the_others_may_be_worked_out_meanwhile(self):
        class Sized(TaskBase):
            layers: tuple[int, ...]

            def __init__(self, layers: list[int]):
                self.layers = tuple(layers)

            def run_task(self) -> int:
                return self.size

            @cached_property
            def size(self) -> int:
                return len(self.layers)

        task = Sized([1, 2])
        assert task.size == 2
        check_unchanged(task)

    def test_objects_of_other_classes_are_the_same_ones(self):
        class Opaque: ...

        class Holds(TaskBase):
            def __init__(self) -> None:
                self.opaque = [Opaque(), float("nan")]

        check_unchanged(Holds())
        Holds().opaque[0] = Opaque()
        task = Holds()
        task.opaque[0] = Opaque()
        with pytest.raises(TaskDefinitionError, match=r"self\.opaque was changed"):
            check_unchanged(task)


class TestRequirementsAreFrozen:
    def test_list_and_dict_are_alive_in_init_and_fixed_after_it(self):
        outside: list[Any] = []
        named: dict[str, Any] = {}

        class Sums(TaskBase):
            numbers: RequiresList[int]
            named: RequiresDict[str, int]

            def __init__(self) -> None:
                self.numbers, self.named = outside, named
                for n in range(3):
                    self.numbers.append(Number(n))  # type: ignore[arg-type]
                    self.named[str(n)] = Number(n)  # type: ignore[assignment]
                outside.append(Number(10))

            def run_task(self) -> tuple[list[int], dict[str, int]]:
                return self.numbers, self.named

        task = Sums()
        outside.append(Number(99))
        named.clear()
        assert task.run_graph(backend="thread") == ([0, 1, 2, 10], {"0": 0, "1": 1, "2": 2})

    def test_setting_one_later_is_refused(self):
        class Needs(TaskBase):
            up: Requires[int]

            def __init__(self) -> None:
                self.up = Number(1)

        with pytest.raises(TaskDefinitionError, match=r"Needs\.up is a requirement, which is set in __init__"):
            Needs().up = Number(2)

    def test_constant_is_taken_as_it_was(self):
        shared = [1]

        class Needs(TaskBase):
            up: Requires[Any]

            def __init__(self) -> None:
                self.up = Const(shared)

            def run_task(self) -> Any:
                return self.up

        task = Needs()
        shared.append(2)
        assert task.run_graph(backend="thread") == [1]


# ------------------------------------------------------------------------------------------------------- fuzz

mutable = st.recursive(
    st.integers(0, 1) | st.sampled_from(["a", "b", 1.0, True, None, -0.0, 0.0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "$"]), inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.builds(Config, inner, st.sampled_from([0.1, 1]))
        | st.builds(Fixed, inner)
        | st.builds(Pair, inner, inner)
        | st.sets(st.integers(0, 3), max_size=3)
        | st.binary(max_size=2).map(bytearray)
        | st.builds(Const, inner)
    ),
    max_leaves=8,
)


def containers(value: Any) -> Iterator[Any]:
    """List what can be changed in a value, at any depth."""
    if isinstance(value, (list, dict, set, bytearray, Config)):
        yield value
    for part in parts_of(value):
        yield from containers(part)


def parts_of(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (Config, Fixed)):
        return list(vars(value).values())
    return [value.value] if isinstance(value, Const) else []


def spoil(value: Any) -> None:
    if isinstance(value, Config):
        value.rate = 77
    elif isinstance(value, dict):
        value["new"] = 0
    elif isinstance(value, set):
        value.add(77)
    else:
        value.append(77)


def seen(value: Any) -> Any:
    """Describe all that a task can observe of a value; sets have no order."""
    kind = type(value).__qualname__
    if isinstance(value, dict):
        return kind, tuple((seen(k), seen(v)) for k, v in value.items())
    if isinstance(value, (list, tuple, Config, Fixed, Const)):
        return kind, tuple(seen(part) for part in parts_of(value))
    return shape(value) if isinstance(value, (set, frozenset, float)) else (kind, repr(value))


@given(mutable, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_taken_never_changes(value, data):
    before, text = seen(value), text_of(value)
    copy = taken(value)
    assert seen(copy) == before
    places = list(containers(value))
    if places:
        spoil(data.draw(st.sampled_from(places)))
        assert not alike(copy, value)
        assert text_of(value) != text
    assert (seen(copy), text_of(copy)) == (before, text)


@given(mutable, mutable)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_two_arguments_that_a_task_can_tell_apart_never_share_a_result(one, other):
    got: list[Any] = []

    class Observes(TaskBase):
        def __init__(self, given: Any):
            got.append(seen(given))

    tasks = [Observes(one), Observes(other)]
    assert (len(got) == 2) == (tasks[0] is not tasks[1]) == (seen(one) != seen(other))
    assert got[0] == seen(one)


@given(values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_copy_is_what_was_copied(value):
    copy = taken(value)
    assert shape(copy) == shape(value)
    assert text_of(copy) == text_of(value)
    assert alike(copy, value) or "nan" in text_of(value).lower()
