"""Folds the tasks of a class into one node, for pictures that nobody can click on."""
from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .model import ShownGraph, ShownTask, State, counts_text

MOST_UNFOLDED = 50
_LONGEST_NOTE = 120


@dataclass(frozen=True)
class Node:
    """A task, or a class with the number of its tasks.

    Attributes:
        title: What it is called: `Train(n=3)`, or `Train`.
        name: Its class alone.
        note: What is said of it.
        brief: What tells a task from others of its class.
        counts: Its tasks by state.
        folded: Whether it stands for a class.
    """

    title: str
    name: str
    note: str
    brief: str
    counts: Mapping[State, int]
    folded: bool

    @property
    def state(self) -> State:
        """The state to colour it by: the one that needs most attention."""
        return next(iter(self.counts))


@dataclass(frozen=True)
class Picture:
    """Nodes, and how many times one needs the other.

    Attributes:
        nodes: The nodes, upstreams first as far as folding leaves that possible.
        edges: The number of tasks' needs by (upstream node, downstream node); a recursive class needs itself.
        root: The node of the task asked for.
    """

    nodes: Sequence[Node]
    edges: Mapping[tuple[int, int], int]
    root: int


def picture_of(graph: ShownGraph, fold: bool | None = None) -> Picture:
    """Draw a graph's nodes: its tasks, or its classes.

    Args:
        graph: The graph.
        fold: Whether each class is one node; by default, if there are more than `MOST_UNFOLDED` tasks.
    """
    if fold is None:
        fold = len(graph.tasks) > MOST_UNFOLDED
    return _folded(graph) if fold else _unfolded(graph)


def _unfolded(graph: ShownGraph) -> Picture:
    nodes = [_task_node(graph, task) for task in graph.tasks]
    edges = {(up, down): 1 for down, task in enumerate(graph.tasks) for up in task.upstreams}
    return Picture(nodes, edges, len(nodes) - 1)


def _folded(graph: ShownGraph) -> Picture:
    nodes: list[Node] = []
    node_of: dict[int, int] = {}
    for name, numbers in graph.classes.items():
        node_of.update(dict.fromkeys(numbers, len(nodes)))
        alone = len(numbers) == 1
        nodes.append(_task_node(graph, graph.tasks[numbers[0]]) if alone else _class_node(graph, name, numbers))
    edges: Counter[tuple[int, int]] = Counter()
    for number, task in enumerate(graph.tasks):
        edges.update((node_of[up], node_of[number]) for up in task.upstreams)
    return Picture(nodes, edges, node_of[len(graph.tasks) - 1])


def _task_node(graph: ShownGraph, task: ShownTask) -> Node:
    note = f"{task.state}: {task.reason}" if task.reason else task.state
    note = textwrap.shorten(note, _LONGEST_NOTE, placeholder=" ...")
    return Node(task.label, graph.short_names[task.class_name], note, task.brief, {task.state: 1}, False)


def _class_node(graph: ShownGraph, name: str, numbers: Sequence[int]) -> Node:
    counts = graph.counts(numbers)
    short = graph.short_names[name]
    return Node(short, short, f"{len(numbers)} tasks: {counts_text(counts)}", "", counts, True)
