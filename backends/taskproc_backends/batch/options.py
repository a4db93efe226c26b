"""The options that every batch scheduler shares."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from taskproc.plugin import Portable, count, option


def flags(value: Any) -> tuple[str, ...]:
    """Split further flags as a shell would, or take them as they are listed.

    >>> flags("--licenses=matlab:1 --comment='two words'")
    ('--licenses=matlab:1', '--comment=two words')
    """
    words = shlex.split(value) if isinstance(value, str) else [str(word) for word in value]
    if any(character in word for word in words for character in "\n\r\0"):
        msg = f"{value!r} holds a newline, which is refused"
        raise ValueError(msg)
    return tuple(words)


def group_size(value: Any) -> int | str:
    """Accept a whole number from 1, or `auto`."""
    return "auto" if value == "auto" else count(value)


def interval(value: Any) -> float:
    """Accept seconds from 0.

    >>> interval("2.5")
    2.5
    """
    number = float(value)
    if not 0 <= number < 1e6:
        msg = f"{value!r} is not a number of seconds"
        raise ValueError(msg)
    return number


@dataclass(frozen=True)
class BatchOptions(Portable):
    """What means the same on every batch scheduler."""

    setup: str = option("", help="Shell lines before the worker: module load …, conda activate ….", multiline=True)
    python: str | None = option(None, help="The Python interpreter on the node; this one by default.")
    extra: tuple[str, ...] = option((), help="Further flags for the submit command.", parse=flags)
    group_size: int | str = option(
        1, help="Tasks that one array element runs in turn; auto: about a minute's worth.", parse=group_size
    )
    array_limit: int | None = option(None, help="Elements of one array that run at once.", parse=count)
    max_submitted: int | None = option(
        None, help="Most array elements in the queue at any time, under the site's limit.", parse=count
    )
    latency_wait: float = option(30.0, help="Seconds until what a node wrote must be visible here.", parse=interval)
    query_interval: float = option(2.0, help="Least seconds between two questions to the scheduler.", parse=interval)
