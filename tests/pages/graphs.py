"""Graphs to show, made without running anything."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskproc.look.pages.gather import briefs
from taskproc.look.pages.model import ShownGraph, ShownTask, State


def shown(*tasks: ShownTask) -> ShownGraph:
    """Put tasks together; the last one is the one asked for."""
    return ShownGraph(tasks, "/data/.cache/taskproc")


def task(
    name: str, state: State = "cached", upstreams: Sequence[int] = (), reason: str = "", **others: Any
) -> ShownTask:
    """Make a task without arguments; `others` are further attributes of `ShownTask`."""
    return ShownTask(**{
        "class_name": f"tasks.{name}", "label": f"{name}()", "brief": "", "arguments": {}, "state": state,
        "reason": reason, "upstreams": upstreams, **others,
    })  # fmt: skip


def pipeline(number: int, states: Mapping[int, State] | None = None) -> ShownGraph:
    """Make `Load` and `Train`, `number` tasks each, and a `Main` that needs them all.

    Args:
        number: How many.
        states: The states of tasks by number, `Train` first; the others are cached.
    """
    states = states or {}
    trains = [{"i": str(i)} for i in range(number)]
    loads = [
        task("Load", label=f"Load(i={i})", brief=f"i={i}", arguments={"i": str(i)}, seconds=0.5, id=i)
        for i in range(number)
    ]
    own = [
        task("Train", states.get(i, "cached"), (i,), label=f"Train(i={i})", brief=brief, arguments=trains[i], id=i)
        for i, brief in enumerate(briefs(["Train"] * number, trains))
    ]
    return shown(*loads, *own, task("Main", "stale", range(number, 2 * number), "no result"))
