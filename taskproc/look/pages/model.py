"""A task graph as it is shown: every task with its state, what it took, and where its files are."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from ..progress import short_names

State = Literal["failed", "running", "stale", "cached"]
STATES: tuple[State, ...] = get_args(State)  # what needs attention first


@dataclass(frozen=True)
class ShownTask:
    """A task of a graph.

    Attributes:
        class_name: Its `task_name`.
        label: `Class(n=3)`.
        brief: Those of its arguments that tell it from others of its class, as `lr=0.1, seed=3`.
        arguments: Its arguments as JSON, by name; very long ones are cut.
        state: What it is now.
        reason: Why it would run, or why it failed; empty for a cached one.
        upstreams: The numbers of the tasks that it needs, or ran inside, each once.
        backend: Where it ran, runs, or would run.
        id: Its id; None while it has none.
        host: The machine that it runs or ran on, if known.
        pid: The process there, if known.
        started: When, in seconds since the epoch, if known.
        seconds: How long `run_task` took, if it has run.
        memory: Its worker's peak memory in KiB, if it has run.
        directory: Its instance directory, if there is one.
        logs: The names of its logs in there, each with the end of its text, or nothing where that is not shown.
    """

    class_name: str
    label: str
    brief: str
    arguments: Mapping[str, str]
    state: State
    reason: str
    upstreams: Sequence[int]
    backend: str = ""
    id: int | None = None
    host: str = ""
    pid: int | None = None
    started: float | None = None
    seconds: float | None = None
    memory: int | None = None
    directory: str = ""
    logs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ShownGraph:
    """A task graph; each task stands behind its upstreams, and the one asked for is the last.

    Attributes:
        tasks: The tasks by number.
        cache: The cache's directory.
    """

    tasks: Sequence[ShownTask]
    cache: str = ""

    @property
    def title(self) -> str:
        """The label of the task asked for."""
        return self.tasks[-1].label

    @cached_property
    def classes(self) -> dict[str, list[int]]:
        """The tasks' numbers by class, in the order of the graph."""
        classes: dict[str, list[int]] = {}
        for number, task in enumerate(self.tasks):
            classes.setdefault(task.class_name, []).append(number)
        return classes

    @cached_property
    def short_names(self) -> dict[str, str]:
        """What to call each class: without its module, unless another class is called so, too."""
        return short_names(list(self.classes))

    def counts(self, numbers: Iterable[int]) -> dict[State, int]:
        """Count tasks by state, in the order of `STATES`, without those that none is in."""
        counted = Counter(self.tasks[number].state for number in numbers)
        return {state: counted[state] for state in STATES if counted[state]}


def counts_text(counts: Mapping[State, int]) -> str:
    """Write counts for people.

    >>> counts_text({"failed": 1, "cached": 20})
    '1 failed, 20 cached'
    >>> counts_text({"cached": 20})
    'all cached'
    """
    if len(counts) == 1 and sum(counts.values()) > 1:
        return f"all {next(iter(counts))}"
    return ", ".join(f"{number} {state}" for state, number in counts.items())
