"""Runs to report on, made without running anything."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskproc.look.history import Attempt, TaskState


def ran(
    node: int, took: float, upstreams: Sequence[int] = (), *, start: float = 0.0, name: str = "Train", **others: Any
) -> TaskState:
    """Make a task that ran once; `others` are further attributes of its attempt."""
    attempt = Attempt(**{
        "nonce": f"{node:032x}", "state": "done", "started": start, "ended": start + took, "seconds": took,
        "backend": "process", "host": "node1", "pid": 100, **others,
    })  # fmt: skip
    return state(node, attempt.state, upstreams, name=name, attempts=(attempt,))


def state(node: int, kind: Any, upstreams: Sequence[int] = (), *, name: str = "Train", **others: Any) -> TaskState:
    """Make a task in a state; `others` are further attributes of `TaskState`."""
    return TaskState(**{
        "node": node, "name": f"tasks.{name}", "id": node, "label": f"{name}(i={node})", "state": kind,
        "why": "no result", "reason": "", "upstreams": upstreams, "attempts": (), "directory": "", **others,
    })  # fmt: skip
