"""What the times of a run's tasks say: which chain of tasks was the longest, and which class is worth speeding up.

The model is the usual lower bound: a run takes no less than its longest chain of tasks, and no less than all its work
spread evenly over as many tasks as ran at once.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..history import Attempt, TaskState

_FASTER = 2.0
_MOST_GAINS = 10


@dataclass(frozen=True)
class ClassTimes:
    """What the tasks of a class took in a run. Times are in seconds.

    Attributes:
        name: Its `task_name`.
        cached: Tasks that were fresh, or computed by another run meanwhile.
        done: Tasks that ran to their end.
        failed: Tasks that failed.
        left: Tasks that did not get that far.
        retries: Attempts beyond the first of each task.
        seconds: What all attempts took.
        mean: What a task that ran took.
        longest: What the longest of them took.
        memory: The most that a worker had used at the end of a task, in KiB.
        waited: How long a task was in its backend's hands before it started, on average; None where nothing was noted.
    """

    name: str
    cached: int
    done: int
    failed: int
    left: int
    retries: int
    seconds: float
    mean: float
    longest: float
    memory: int
    waited: float | None


@dataclass(frozen=True)
class Gain:
    """What it would bring if the tasks of a class took half as long.

    Attributes:
        name: The class's `task_name`.
        share: Its part of the run's work.
        on_path: Its part of the longest chain.
        seconds: How much shorter the run could be.
    """

    name: str
    share: float
    on_path: float
    seconds: float


@dataclass(frozen=True)
class Analysis:
    """What the times say. Times are in seconds.

    Attributes:
        classes: The classes, those that took most first.
        work: What all attempts took together.
        at_once: The most attempts that ran at once.
        path: The longest chain of tasks, from its first one on.
        path_seconds: What that chain took.
        gains: Which of the classes that took most are worth speeding up, the best first.
    """

    classes: Sequence[ClassTimes]
    work: float
    at_once: int
    path: Sequence[TaskState]
    path_seconds: float
    gains: Sequence[Gain]

    @property
    def least(self) -> float:
        """The least that such a run can take with as many tasks at once."""
        return max(self.path_seconds, self.work / max(1, self.at_once))


def analyse(tasks: Sequence[TaskState], cached: Mapping[str, int], at_once: int) -> Analysis:
    """Find out what the times of a run's tasks say.

    Args:
        tasks: The tasks that had to run, each behind its upstreams.
        cached: How many were fresh from the start, by class.
        at_once: The most attempts that ran at once.
    """
    took = {task.node: sum(map(seconds_of, task.attempts)) for task in tasks}
    path = longest_path(tasks, took)
    path_seconds = sum(took[task.node] for task in path)
    analysis = Analysis(_classes(tasks, cached), sum(took.values()), at_once, path, path_seconds, ())
    largest = [one.name for one in analysis.classes[:_MOST_GAINS] if one.seconds > 0]
    gains = [_gain(name, tasks, took, analysis) for name in largest]
    worth = sorted((gain for gain in gains if gain.seconds > 0), key=lambda gain: -gain.seconds)
    return Analysis(analysis.classes, analysis.work, at_once, path, path_seconds, worth)


def seconds_of(attempt: Attempt) -> float:
    """Give how long an attempt ran, as far as that is known."""
    if attempt.seconds is not None:
        return max(0.0, attempt.seconds)
    if attempt.started is None or attempt.ended is None:
        return 0.0
    return max(0.0, attempt.ended - attempt.started)


def longest_path(tasks: Sequence[TaskState], took: Mapping[int, float]) -> list[TaskState]:
    """Give the chain of tasks, each needing the one before, that took longest in all."""
    until: dict[int, float] = {}
    before: dict[int, int | None] = {}
    for task in tasks:
        last = max((up for up in task.upstreams if up in until), key=until.__getitem__, default=None)
        before[task.node] = last
        until[task.node] = took[task.node] + (until[last] if last is not None else 0.0)
    at = max(until, key=until.__getitem__, default=None)
    by_node = {task.node: task for task in tasks}
    path = []
    while at is not None:
        path.append(by_node[at])
        at = before[at]
    return [task for task in reversed(path) if took[task.node] > 0]


def _gain(name: str, tasks: Sequence[TaskState], took: Mapping[int, float], analysis: Analysis) -> Gain:
    """Ask what the run could take if the tasks of one class were faster; another chain may be the longest then."""
    faster = {task.node: took[task.node] / (_FASTER if task.name == name else 1.0) for task in tasks}
    path = sum(faster[task.node] for task in longest_path(tasks, faster))
    least = max(path, sum(faster.values()) / max(1, analysis.at_once))
    own = sum(took[task.node] for task in tasks if task.name == name)
    on_path = sum(took[task.node] for task in analysis.path if task.name == name)
    return Gain(
        name,
        own / analysis.work if analysis.work else 0.0,
        on_path / analysis.path_seconds if analysis.path_seconds else 0.0,
        analysis.least - least,
    )


def _classes(tasks: Sequence[TaskState], cached: Mapping[str, int]) -> list[ClassTimes]:
    of_class: dict[str, list[TaskState]] = {name: [] for name in cached}
    for task in tasks:
        of_class.setdefault(task.name, []).append(task)
    found = [_class_times(name, own, cached.get(name, 0)) for name, own in of_class.items()]
    return sorted(found, key=lambda one: -one.seconds)


def _class_times(name: str, tasks: Sequence[TaskState], cached: int) -> ClassTimes:
    states = [task.state for task in tasks]
    attempts = [attempt for task in tasks for attempt in task.attempts]
    ran = [seconds_of(attempt) for attempt in attempts if attempt.state == "done"]
    waits = [a.started - a.submitted for a in attempts if a.started is not None and a.submitted is not None]
    done, failed, elsewhere = states.count("done"), states.count("failed"), states.count("cached")
    return ClassTimes(
        name=name,
        cached=cached + elsewhere,
        done=done,
        failed=failed,
        left=len(states) - done - failed - elsewhere,
        retries=sum(max(0, len(task.attempts) - 1) for task in tasks),
        seconds=sum(map(seconds_of, attempts)),
        mean=sum(ran) / len(ran) if ran else 0.0,
        longest=max(map(seconds_of, attempts), default=0.0),
        memory=max((attempt.memory or 0 for attempt in attempts), default=0),
        waited=max(0.0, sum(waits) / len(waits)) if waits else None,
    )
