"""What a run is about to do, kept beside its ledger: its tasks by node, why each runs, and which needs which."""
from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..plan.graph import Plan

FILE = "outline.json.gz"


@dataclass(frozen=True)
class OutlinedClass:
    """A task class of a run.

    Attributes:
        name: Its `task_name`.
        limits: The rate limits that count for it, by label.
    """

    name: str
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OutlinedTask:
    """A task that a run had to run.

    Attributes:
        node: Its number in this run's graph; the ledger names tasks by it.
        id: Its id when the run began; -1 for none.
        label: How it is shown to people: `Train(n=3)`.
        reason: Why it runs.
        upstreams: The nodes that it needs and that run as well, those before them in the graph first.
    """

    node: int
    task_class: OutlinedClass
    id: int
    label: str
    reason: str
    upstreams: Sequence[int]


@dataclass(frozen=True)
class Outline:
    """What a run is about to do.

    Attributes:
        tasks: The tasks that must run, by node, each behind its upstreams; those that were added in the run, last.
        returned: For each task that has returned others in their place, or had before: the nodes that had to run of
            them. What needs it needs them all.
        returned_by: For each task that was returned in the run: the tasks that returned it, which came before it.
    """

    tasks: Mapping[int, OutlinedTask] = field(default_factory=dict)
    returned: Mapping[int, Sequence[int]] = field(default_factory=dict)
    returned_by: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def order(self) -> Sequence[int]:
        """Give the nodes, each behind its upstreams."""
        if not self.returned:
            return list(self.tasks)
        found: dict[int, None] = {}
        entered: set[int] = set()
        waiting = list(self.tasks)[::-1]
        while waiting:
            node = waiting[-1]
            if node in entered:
                found[waiting.pop()] = None
            else:
                entered.add(node)
                waiting += [up for up in self.upstreams(node) if up not in entered][::-1]
        return list(found)

    def upstreams(self, node: int) -> Sequence[int]:
        """Give the nodes that one needs and that had to run, with what these have returned."""
        task = self.tasks.get(node)
        if task is None or not self.returned:
            return task.upstreams if task is not None else ()
        found = dict.fromkeys(task.upstreams)
        waiting = list(found)
        for up in waiting:  # which grows
            new = [inner for inner in self.returned.get(up, ()) if inner not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return [up for up in dict.fromkeys([*found, *self.returned_by.get(node, ())]) if up in self.tasks]


def write_outline(directory: str, plan: Plan, ids: Sequence[int], limits: Mapping[str, int]) -> None:
    """Write down what a run is about to do, in columns.

    Args:
        directory: The run's directory.
        plan: The run's plan.
        ids: The tasks' ids, by node.
        limits: The most tasks at once, per channel or task name.
    """
    with open(f"{directory}/{FILE}", "wb") as file:
        file.write(_written(plan, ids, limits, plan.stale, plan.expanded()))


def add_to_outline(
    directory: str,
    plan: Plan,
    ids: Sequence[int],
    limits: Mapping[str, int],
    nodes: Sequence[int],
    returned: Mapping[int, Sequence[int]],
) -> None:
    """Write down that a run has grown.

    Args:
        directory: The run's directory.
        plan: The run's plan.
        ids: The tasks' ids, by node.
        limits: As before.
        nodes: Those that were added and must run.
        returned: For each task that has returned others: the nodes that it waits for.
    """
    with open(f"{directory}/{FILE}", "ab") as file:
        file.write(_written(plan, ids, limits, nodes, returned))


def _written(
    plan: Plan,
    ids: Sequence[int],
    limits: Mapping[str, int],
    nodes: Sequence[int],
    returned: Mapping[int, Sequence[int]],
) -> bytes:
    """Write a part of an outline, a member of the file that stands by itself."""
    from ..plan.graph import general_reason  # which a reader of outlines does not need

    graph, reasons = plan.graph, plan.reasons
    classes = {cls: number for number, cls in enumerate(dict.fromkeys(type(graph.tasks[node]) for node in nodes))}
    shown: dict[str, int] = {}
    content = {
        "classes": [
            {
                "name": cls._task_config.name,
                "limits": {label: limits[label] for label in cls._task_config.channels if label in limits},
            }
            for cls in classes
        ],
        "node": nodes,
        "class": [classes[type(graph.tasks[node])] for node in nodes],
        "id": [ids[node] for node in nodes],
        "label": [repr(graph.tasks[node]) for node in nodes],
        "reason": [shown.setdefault(general_reason(reasons[node]), len(shown)) for node in nodes],
        "upstreams": [plan.unfinished(graph.upstreams[node]) for node in nodes],
        "reasons": list(shown),
        "returned": list(returned.items()),
    }
    return gzip.compress(json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n", 1)


def read_outline(directory: str) -> Outline | None:
    """Read what a run was about to do; None if that is not written, or damaged."""
    try:
        with gzip.open(f"{directory}/{FILE}") as file:
            return _read(_lines(file))
    except OSError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _lines(file: gzip.GzipFile) -> Iterator[dict[str, Any]]:
    """Read the parts of an outline; of one that is damaged, or being written, those before that."""
    first = True
    while True:
        try:
            line = file.readline()
        except (OSError, EOFError, zlib.error):
            line = b""
        if not line and first:
            msg = "no outline"
            raise ValueError(msg)
        if not line:
            return
        first = False
        yield json.loads(line)


def _read(parts: Iterable[dict[str, Any]]) -> Outline:
    tasks: dict[int, OutlinedTask] = {}
    returned: dict[int, Sequence[int]] = {}
    returned_by: dict[int, list[int]] = {}
    names = ("node", "class", "id", "label", "reason", "upstreams")
    for content in parts:
        classes = [OutlinedClass(str(one["name"]), dict(one["limits"])) for one in content["classes"]]
        reasons = [str(reason) for reason in content["reasons"]]
        new = set(map(int, content["node"]))
        for node, number, id, label, reason, ups in zip(*(content[name] for name in names), strict=True):
            of = classes[number]
            tasks[int(node)] = OutlinedTask(int(node), of, int(id), str(label), reasons[reason], tuple(map(int, ups)))
        given = {int(node): list(map(int, nodes)) for node, nodes in content.get("returned", ())}
        for node, nodes in given.items():
            for one in new.intersection(nodes) if node in tasks else ():
                returned_by.setdefault(one, []).append(node)
        returned.update(given)
    return Outline(tasks, returned, returned_by)
