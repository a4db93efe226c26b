"""How people name tasks."""
from __future__ import annotations

from typing import Any

import pytest

from taskproc.base.errors import OptionError
from taskproc.look.task_names import parse_task_name

ARGS = {"n": 3, "shape": [1, 2], "name": "a b"}


@pytest.mark.parametrize(
    "text",
    [
        "Load", " m.Load ", "Load#7", "Load(n=3)", "Load(3)", "Load( 3, [1, 2] )", "Load(shape=(1, 2), n=3)",
        "m.Load(name='a b')", 'Load(name="a b")', "Load()",
    ],
)  # fmt: skip
def test_a_name_fits_its_task(text: str) -> None:
    pattern = parse_task_name(text)
    assert pattern.fits_class("m.Load")
    assert pattern.fits(7, ARGS)


@pytest.mark.parametrize("text", ["Load#8", "Load(n=4)", "Load(4)", "Load(m=3)", "Load(1, 2, 3, 4)"])
def test_a_name_does_not_fit_another(text: str) -> None:
    assert not parse_task_name(text).fits(7, ARGS)


@pytest.mark.parametrize("name", ["m.Loader", "m.Reload", "Load.m"])
def test_other_classes(name: str) -> None:
    assert not parse_task_name("Load").fits_class(name)


def test_tasks_among_the_arguments_are_compared_as_shown() -> None:
    pattern = parse_task_name("Main(ups = (Load(n=1), Load(name=\"x\")))")
    assert pattern.fits(1, {}, "Main(ups=(Load(n=1), Load(name='x')))")
    assert not pattern.fits(1, {}, "Main(ups=(Load(n=2), Load(name='x')))")
    assert not pattern.fits(1, {})


@pytest.mark.parametrize(
    "text",
    ["", "9", "Load#", "Load#x", "Load(n=", "Load(n=3", "a b", "Load)(", "../x", "Load() + (1)", "Load" + "(" * 999],
)
def test_what_names_no_task_is_refused(text: Any) -> None:
    with pytest.raises(OptionError):
        parse_task_name(text)
