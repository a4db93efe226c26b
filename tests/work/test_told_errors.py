"""What a task raised is told, whatever its class makes of that."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from taskproc import FailedTaskError, TaskBase
from taskproc.base.telling import told


class HasNoText(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@dataclass(frozen=True)
class Frozen(Exception):
    """Lets nothing be set: neither a traceback nor a cause."""

    code: int


class SaysNothingOfItself(Exception):
    def __reduce__(self) -> NoReturn:
        raise HasNoText


class Fails(TaskBase, retries=1):
    def __init__(self, how: str, tries: str):
        self.how = how
        self.tries = tries

    def run_task(self) -> object:
        with open(self.tries, "a") as file:
            file.write("x")
        if self.how == "Frozen":
            raise Frozen(7)
        if self.how == "in its result":
            return SaysNothingOfItself()
        raise {"HasNoText": HasNoText, "SaysNothingOfItself": SaysNothingOfItself}[self.how]


class FailsBehindAPrefix(Fails, retries=1, prefix_command="nice"):
    pass


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
@pytest.mark.parametrize(
    ("how", "name"),
    [("HasNoText", "HasNoText"), ("Frozen", "Frozen"), ("SaysNothingOfItself",) * 2, ("in its result", "HasNoText")],
)
def test_task_fails_by_what_it_raised_and_is_tried_again(backend: str, how: str, name: str, tmp_path: Path):
    cls = FailsBehindAPrefix if backend == "prefix" else Fails
    with pytest.raises(FailedTaskError) as caught:
        cls(how, str(tmp_path / "tries")).run_graph(backend=backend)
    assert (tmp_path / "tries").read_text() == "xx"
    assert name in str(caught.value)
    assert name in str(caught.value.exception.__cause__)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
def test_exception_without_words_reaches_the_driver_as_what_it_is(backend: str, tmp_path: Path):
    with pytest.raises(FailedTaskError) as caught:
        Fails("HasNoText", str(tmp_path / "tries")).run_graph(backend=backend)
    assert type(caught.value.exception) is HasNoText


def test_exception_without_words_is_told_by_its_name():
    assert told(HasNoText()) == "HasNoText: (its text cannot be had: its __str__ raised ZeroDivisionError)"
