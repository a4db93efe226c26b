"""Graphs that tasks ran inside when they were computed: whether they would run today."""
from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..base.telling import told
from ..store.meta import NESTED, Meta
from ..tasks.anew import construct_anew
from ..tasks.node import Node
from .nodes import TaskGraph


class Planned(Protocol):
    """What is asked of the plan of such graphs (`graph.Plan`)."""

    graph: TaskGraph
    metas: list[Meta | None]
    reasons: list[str]

    def cause(self, node: int) -> int:
        """Find the node above one that runs because of which it does."""
        ...


class Ran(NamedTuple):
    """A graph that a task ran inside.

    Attributes:
        label: The task that was asked for, in words.
        version: Its result's version.
        task: The task as it is constructed today; None if it cannot be.
        error: Why it cannot.
    """

    label: str
    version: bytes
    task: Node | None
    error: str = ""


class NestedGraphs:
    """The graphs that the tasks of a graph ran inside, constructed and looked at anew.

    Args:
        graph: The graph around.
        plan_of: Plans several tasks at once.
        around: The digests of the tasks whose own graphs inside are being looked at.

    Attributes:
        ran: The graphs by the commits of the results that they were run for.
    """

    def __init__(
        self,
        graph: TaskGraph,
        plan_of: Callable[[Sequence[Node], frozenset[bytes]], Planned],
        around: frozenset[bytes],
    ) -> None:
        self.ran: dict[bytes, list[Ran]] = {}
        self._graph = graph
        self._plan_of = plan_of
        self._around = around
        self._reasons: dict[bytes, str] = {}

    def look_at(self, metas: Mapping[int, Meta]) -> None:
        """Look at all graphs that these results' tasks ran, in one plan."""
        nested = {node: meta for node, meta in metas.items() if meta.flags & NESTED}
        if not nested:
            return
        ran = {node: list(self._read(node)) for node in nested}
        around = self._around | {self._graph.digest(node) for node in nested}
        tasks = {one.task._task.digest: one.task for each in ran.values() for one in each if one.task is not None}
        looked_at = [task for digest, task in tasks.items() if digest not in around]
        plan = self._plan_of(looked_at, around) if looked_at else None
        for node, meta in nested.items():
            self.ran[meta.commit] = ran[node]
            self._reasons[meta.commit] = next(filter(None, (_why_stale(one, plan) for one in ran[node])), "")

    def why_stale(self, node: int, meta: Meta) -> str:
        """Say which graph that a task ran inside would run today; nothing if none would."""
        if not meta.flags & NESTED:
            return ""
        if meta.commit not in self._reasons:  # another run made it after the plan
            self.look_at({node: meta})
        return self._reasons[meta.commit]

    def _read(self, node: int) -> Iterator[Ran]:
        """Construct what a task's notes tell of."""
        notes = self._graph.class_of(node).store.load_notes(self._graph.digest(node))
        found = notes.get("nested")
        if not isinstance(found, Mapping) or not found:
            yield Ran("a graph", b"", None, "what it was is not noted")
            return
        for label, name, version, written in found.values():
            yield _constructed(label, name, version, written)


def _constructed(label: Any, name: Any, version: Any, written: Any) -> Ran:
    try:
        (task,) = construct_anew(a2b_base64(written), [name])
        return Ran(label, bytes.fromhex(version), task)
    except (Error, ValueError, TypeError) as error:
        return Ran(str(label), b"", None, f"the note of it is damaged: {error}")
    except Exception as error:  # of the user's own constructors
        return Ran(label, b"", None, told(error))


def _why_stale(ran: Ran, plan: Planned | None) -> str:
    """Say why a graph that was run would run again."""
    begin = f"{ran.label}, whose graph it ran inside,"
    if ran.task is None:
        return f"{begin} cannot be constructed any more: {ran.error}"
    node = plan.graph.node_of.get(ran.task._task.digest) if plan is not None else None
    if plan is None or node is None:
        return f"{begin} runs a graph that needs it"
    if not plan.reasons[node]:
        meta = plan.metas[node]
        return "" if meta is not None and meta.version == ran.version else f"{begin} has a newer result"
    cause = plan.cause(node)
    if cause == node:
        return f"{begin} would run: {plan.reasons[node]}"
    return f"{begin} would run, because of {plan.graph.tasks[cause]!r}: {plan.reasons[cause]}"
