"""What a run is about to do, kept beside its ledger: its tasks by node, why each runs, and which needs which."""
from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
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
        tasks: The tasks that must run, by node, each behind its upstreams.
    """

    tasks: Mapping[int, OutlinedTask] = field(default_factory=dict)


def write_outline(directory: str, plan: Plan, ids: Sequence[int], limits: Mapping[str, int]) -> None:
    """Write down what a run is about to do, in columns.

    Args:
        directory: The run's directory.
        plan: The run's plan.
        ids: The tasks' ids, by node.
        limits: The most tasks at once, per channel or task name.
    """
    from ..plan.graph import general_reason  # which a reader of outlines does not need

    graph, stale, reasons = plan.graph, plan.stale, plan.reasons
    classes = {cls: number for number, cls in enumerate(graph.classes)}
    shown: dict[str, int] = {}
    content = {
        "classes": [
            {
                "name": known.config.name,
                "limits": {label: limits[label] for label in known.config.channels if label in limits},
            }
            for known in graph.classes.values()
        ],
        "node": stale,
        "class": [classes[type(graph.tasks[node])] for node in stale],
        "id": [ids[node] for node in stale],
        "label": [repr(graph.tasks[node]) for node in stale],
        "reason": [shown.setdefault(general_reason(reasons[node]), len(shown)) for node in stale],
        "upstreams": [[up for up in dict.fromkeys(graph.upstreams[node]) if reasons[up]] for node in stale],
        "reasons": list(shown),
    }
    data = gzip.compress(json.dumps(content, separators=(",", ":")).encode("ascii"), 1)
    with open(f"{directory}/{FILE}", "wb") as file:
        file.write(data)


def read_outline(directory: str) -> Outline | None:
    """Read what a run was about to do; None if that is not written, or damaged."""
    try:
        with gzip.open(f"{directory}/{FILE}") as file:
            return _read(json.loads(file.read()))
    except (OSError, EOFError, zlib.error):
        return None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _read(content: dict[str, Any]) -> Outline:
    classes = [OutlinedClass(str(one["name"]), dict(one["limits"])) for one in content["classes"]]
    reasons = [str(reason) for reason in content["reasons"]]
    names = ("node", "class", "id", "label", "reason", "upstreams")
    tasks = {
        int(node): OutlinedTask(int(node), classes[number], int(id), str(label), reasons[reason], tuple(map(int, ups)))
        for node, number, id, label, reason, ups in zip(*(content[name] for name in names), strict=True)
    }
    return Outline(tasks)
