"""Arguments of the entry point, from text."""
# ruff: noqa: UP007, UP045 - both spellings of a union are read
from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import click
import pytest

from taskproc import TaskBase
from taskproc.cli.values import entry_arguments, read_value

if TYPE_CHECKING:
    from somewhere import OnlyForCheckers  # type: ignore[import-not-found]  # that is the point


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


Meters = NewType("Meters", float)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("1e-3", float, 0.001),
        ("3", float, 3.0),
        ("yes", bool, True),
        ("False", bool, False),
        ("0", bool, False),
        ("3", str, "3"),
        ("", str, ""),
        ("a=b", str, "a=b"),
        ("data/x y", Path, Path("data/x y")),
        ("2024-02-29", datetime.date, datetime.date(2024, 2, 29)),
        ("None", int | None, None),
        ("null", Optional[int], None),
        ("7", Optional[int], 7),
        ("none", Optional[str], "none"),
        ("3", Union[int, str], 3),
        ("three", Union[int, str], "three"),
        ("1", bool | int, 1),
        ("2.5", int | float, 2.5),
        ("[1, 2]", list[int], [1, 2]),
        ("[1, 2]", list[float], [1.0, 2.0]),
        ("[1, 2]", list, [1, 2]),
        ('["a", "b"]', Sequence[Path], [Path("a"), Path("b")]),
        ('["a", 1]', tuple[str, int], ("a", 1)),
        ("[1, 2, 3]", tuple[int, ...], (1, 2, 3)),
        ("[1, 1]", set[int], {1}),
        ('{"a": [1]}', dict[str, list[int]], {"a": [1]}),
        ('{"1": "x"}', Mapping[int, str], {1: "x"}),
        ("[1, null]", list[int | None], [1, None]),
        ("[[1], []]", list[list[int]], [[1], []]),
        ("[]", list[int] | None, []),
        ("fast", Literal["fast", "slow"], "fast"),
        ("2", Literal[1, 2], 2),
        ("RED", Colour, Colour.RED),
        ("b", Colour, Colour.BLUE),
        ('["RED"]', list[Colour], [Colour.RED]),
        ("1.5", Meters, 1.5),
        ("4", Annotated[int, "even"], 4),
        ("4", Any, 4),
        ("four", Any, "four"),
    ],
)
def test_text_is_read_by_the_annotation(text: str, hint: Any, value: Any) -> None:
    found = read_value(text, hint)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "said"),
    [
        ("3.5", int, "'3.5' is not a whole number"),
        ("x", float, "'x' is not a number"),
        ("maybe", bool, "'maybe' is not true or false"),
        ("x", Optional[int], "'x' is not a whole number"),
        ("a,b", list[str], "is not JSON"),
        ('["a"]', list[int], '"a" is not of type int'),
        ("{}", list[int], "is not of type"),
        ("[1]", tuple[int, int], "has 1 items instead of 2"),
        ("[true]", list[int], "true is not of type int"),
        ("warp", Literal["fast", "slow"], "not one of fast, slow"),
        ("GREEN", Colour, "not one of"),
        ("1", complex, "cannot be given on the command line"),
    ],
)
def test_what_does_not_fit_is_one_sentence(text: str, hint: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_value(text, hint)
    assert said in str(caught.value)


class Entry(TaskBase):
    def __init__(
        self,
        rate: float,
        names: list[str] = [],  # noqa: B006  # a task never changes its arguments
        *,
        where: Path = Path(),
        steps=3,  # type: ignore[no-untyped-def]
        label=None,
        unknown: OnlyForCheckers = None,
    ) -> None:
        pass


class Open(TaskBase):
    def __init__(self, **others: Any) -> None:
        pass


def test_annotations_as_text_and_defaults_give_the_types() -> None:
    given = [("rate", "1"), ("names", '["a"]'), ("where", "x"), ("steps", "5"), ("label", "5"), ("unknown", "[1]")]
    found = entry_arguments(Entry, given, {})
    assert found == {
        "rate": 1.0, "names": ["a"], "where": Path("x"), "steps": 5, "label": 5, "unknown": [1]
    }
    assert type(found["rate"]) is float


def test_values_and_texts_go_together() -> None:
    assert entry_arguments(Entry, [("steps", "5")], {"rate": 2, "steps": 1}) == {"rate": 2, "steps": 5}


def test_any_name_goes_where_any_is_taken() -> None:
    assert entry_arguments(Open, [("a", "1"), ("b", "x")], {}) == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("rate", "1"), ("step", "3")], "Entry has no argument 'step'; did you mean 'steps'?"),
        ([("rate", "fast")], "-s rate: 'fast' is not a number"),
        ([], "Entry needs a value for rate: add -s rate=..."),
    ],
)
def test_what_is_wrong_is_bad_usage(given: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        entry_arguments(Entry, given, {})
    assert said in caught.value.message
