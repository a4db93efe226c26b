"""Options declare themselves once; what somebody writes is checked, normalised, or refused with what would be right."""
from __future__ import annotations

import doctest
from dataclasses import dataclass
from typing import Any

import pytest

from taskproc.base import options
from taskproc.base.errors import OptionError
from taskproc.base.options import Portable, build_options, describe, duration, memory, option, seconds


@dataclass(frozen=True)
class SiteOptions(Portable):
    """Options of some site."""

    queue: str | None = option(None, help="The queue.")
    retries: int = option(3, help="Retries.")
    share: float = option(0.5, help="Share.")
    exclusive: bool = option(False, help="Whether alone.")
    extra: tuple[str, ...] = option((), help="More.")
    setup: str = option("", help="Lines to run first.", multiline=True)

    def __post_init__(self) -> None:
        if self.exclusive and self.cpus:
            msg = "exclusive and cpus cannot go together"
            raise OptionError(msg)


def build(**values: Any) -> SiteOptions:
    return build_options(SiteOptions, values, "site (class Train)")


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(options).failed == 0


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("queue", "long", "long"),
        ("queue", 7, "7"),
        ("queue", None, None),
        ("retries", "5", 5),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("exclusive", "yes", True),
        ("exclusive", "off", False),
        ("extra", "a, b", ("a", "b")),
        ("extra", ["a", "b"], ("a", "b")),
        ("setup", "module load x\nulimit -c 0", "module load x\nulimit -c 0"),
        ("mem", "1.5 GiB", "1536M"),
        ("time", "36h", "1-12:00:00"),
        ("gpus", "0", 0),
    ],
)
def test_what_somebody_writes_is_normalised(name: str, written: Any, read: Any):
    assert getattr(build(**{name: written}), name) == read


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("retries", "many", "option retries"),
        ("retries", True, "True is not of type int"),
        ("exclusive", "maybe", "'maybe' is not of type bool"),
        ("cpus", "0", "not a whole number from 1"),
        ("mem", "lots", "write for example 512M"),
        ("mem", "0", "write for example 512M"),
        ("time", "soon", "write for example 30 (minutes)"),
        ("queue", "long\n#SBATCH --wrap", "holds a newline, which is refused"),
        ("setup", b"bytes", "not of type str"),
        ("qeue", "long", "there is no option 'qeue'; did you mean 'queue'?"),
        ("zzz", "long", "there is no option 'zzz'; known are: cpus, exclusive"),
    ],
)
def test_what_is_not_right_is_refused_with_what_would_be(name: str, written: Any, said: str):
    with pytest.raises(OptionError) as caught:
        build(**{name: written})
    assert str(caught.value).startswith("site (class Train)")
    assert said in str(caught.value)


def test_options_that_cannot_go_together_are_told_with_their_source():
    with pytest.raises(OptionError, match=r"^site \(class Train\): exclusive and cpus cannot go together$"):
        build(exclusive=True, cpus=2)


def test_options_can_be_grouped_by_value():
    assert len({build(mem="1G"), build(mem="1024M"), build(mem="1G")}) == 2


def test_listing_has_name_type_default_and_help():
    listed = {info.name: (info.type, info.default, info.help) for info in describe(SiteOptions)}
    assert listed["retries"] == ("int", 3, "Retries.")
    assert listed["queue"] == ("str", None, "The queue.")
    assert list(listed)[:4] == ["cpus", "mem", "time", "gpus"]


@pytest.mark.parametrize("text", ["30", "0:30:00", "30min", "1800s", "0.5h", "30:00"])
def test_durations_are_one_whatever_their_form(text: str):
    assert seconds(duration(text)) == 1800


@pytest.mark.parametrize("text", ["32G", "32 GB", "32GiB", "32g", "32768M", "32768"])
def test_amounts_of_memory_are_one_whatever_their_form(text: str):
    assert options.mebibytes(memory(text)) == 32768
