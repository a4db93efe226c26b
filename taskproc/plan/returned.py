"""Reads what expanding tasks have returned."""
from __future__ import annotations

from typing import Any

from ..base.errors import TaskprocError
from ..store.cache import Cache
from ..tasks.expansion import Expansion
from ..tasks.node import Node
from ..tasks.trust import check_trust
from .nodes import TaskGraph


def load_expansion(task: Node, graph: TaskGraph) -> Expansion:
    """Read what an expanding task of a graph has returned.

    Raises:
        TaskprocError: It cannot be read.
    """
    store = graph.classes[type(task)].store
    check_trust(graph.cache.root, [store.directory])
    found: Any = store.load(task._task.digest, repr(task))
    if not isinstance(found, Expansion):
        msg = f"the result of {task!r} is not what an expanding task returned"
        raise TaskprocError(msg)
    return found


def graph_from(root: Node, cache: Cache) -> TaskGraph:
    """Collect all tasks that one needs, with what those that expand have returned, also if it is stale.

    Raises:
        TaskprocError: That cannot be found out.
    """
    graph = TaskGraph(root, cache)
    for task in graph.tasks:  # which grows
        if task._task_config.expands and graph.classes[type(task)].store.peek([task._task.digest])[0] is not None:
            graph.add(load_expansion(task, graph).tasks())
    return graph
