"""How many tasks one array element runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from taskproc.plugin import Job, duration, seconds

from .options import BatchOptions

# What `group_size="auto"` aims at: long against an element's own cost, short against a night.
_ELEMENT_SECONDS = 60.0
_MOST_TASKS = 1000
# A task may take so many times what it took before, when the time limit of an automatic group is set.
_OVERRUN = 10

Group = Sequence[Job]


def make_groups(jobs: Sequence[Job], size: int | str) -> list[Group]:
    """Put jobs into groups, each for one array element, in their order.

    `auto` fills an element with about a minute of past durations; a task that never ran has one for itself.
    """
    if size == "auto":
        return _by_duration(jobs)
    step = int(size)
    return [jobs[at : at + step] for at in range(0, len(jobs), step)]


def element_options(options: BatchOptions, groups: Sequence[Group]) -> BatchOptions:
    """Give the options for an element: its time limit is that of all its tasks, one after another."""
    longest = max(len(group) for group in groups)
    if options.time is None or longest == 1:
        return options
    one = seconds(options.time)
    if options.group_size == "auto":
        total = one + max(sum(min(one, _OVERRUN * (job.expected or 0)) for job in group) for group in groups)
    else:
        total = one * longest
    return dataclasses.replace(options, time=duration(f"{int(total)}s"))


def _by_duration(jobs: Sequence[Job]) -> list[Group]:
    groups: list[list[Job]] = []
    room = 0.0
    for job in jobs:
        cost = _ELEMENT_SECONDS if job.expected is None else job.expected
        if not groups or cost > room or len(groups[-1]) == _MOST_TASKS:
            groups.append([])
            room = _ELEMENT_SECONDS
        groups[-1].append(job)
        room -= cost
    return list(groups)
