"""The classes of a graph's tasks, and what the tasks tell of them: whose results they may be given, which values."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from ..base.errors import SourceChangedError, TaskDefinitionError
from ..tasks.config import definitions, where_defined
from ..tasks.node import Node
from ..tasks.values import PLAIN, is_former, value_classes


class Kinds:
    """What the tasks of a graph, which may grow, tell of their classes.

    Attributes:
        given: Of classes that expand, the classes of the tasks that theirs have returned.
    """

    def __init__(self) -> None:
        self.given: dict[type, set[type]] = {}
        self._above: dict[type, set[type]] = {}
        self._values: dict[type, set[type]] = {}
        self._seen = 0

    def know(self, other: Kinds) -> None:
        """Know from the start what was found out before, about the same tasks."""
        self.given, self._above, self._values = other.given, other._above, other._values

    def look_at(self, tasks: Sequence[Node], upstreams: Sequence[Sequence[int]]) -> bool:
        """Take in those tasks of a graph that are new; whether they tell anything new of any class."""
        new, links = tasks[self._seen :], upstreams[self._seen :]
        self._seen = len(tasks)
        before = self._size()
        for kind in set(map(type, new)):
            self._above.setdefault(kind, set())
        for kind, up in {(type(task), type(tasks[up])) for task, ups in zip(new, links, strict=True) for up in ups}:
            self._above[kind].add(up)
        self._look_at_values(new)
        return self._size() != before

    def forget(self, length: int) -> None:
        """Learn that of a graph's tasks only so many are left: those that come will be new."""
        self._seen = min(self._seen, length)

    def give(self, cls: type, others: Iterable[type]) -> bool:
        """Note the classes of the tasks that a task of a class returned; whether one of them is new."""
        known = self.given.setdefault(cls, set())
        before = len(known)
        known.update(others)
        return len(known) != before

    def above(self) -> dict[type, set[type]]:
        """Give for each class those whose results its tasks may be given, also as a part of others' results."""
        return {cls: self._closure(cls) for cls in self._above}

    def values(self) -> dict[type, set[type]]:
        """Give for each class those of the values that its tasks were given as arguments."""
        return self._values

    def _look_at_values(self, tasks: Sequence[Node]) -> None:
        bound = [task._task.bound.values() for task in tasks]  # type: ignore[union-attr]  # they were constructed here
        if not PLAIN.issuperset(map(type, chain.from_iterable(bound))):
            for task, values in zip(tasks, bound, strict=True):
                self._values.setdefault(type(task), set()).update(value_classes(values))
            _refuse_former(filter(is_former, chain.from_iterable(self._values.values())))

    def _closure(self, cls: type) -> set[type]:
        found: set[type] = set()
        waiting = [self._above[cls]]
        while waiting:
            new = waiting.pop() - found
            found |= new
            for one in new:
                waiting.append(self._above.get(one, set()))
                if one in self.given:
                    waiting.append(self.given[one])
        return found

    def _size(self) -> tuple[int, int, int]:
        return len(self._above), sum(map(len, self._above.values())), sum(map(len, self._values.values()))


def two_classes(cls: type[Node]) -> TaskDefinitionError:
    """Say that two classes have one name."""
    msg = (
        f"{where_defined(cls)}two classes of one graph are called {cls._task_config.name}, so their results could not "
        "be told apart. Give each a name of its own, or make one class of them whose __init__ takes what differs; if "
        "the class was defined again, construct the tasks anew."
    )
    return TaskDefinitionError(msg)


def _refuse_former(kinds: Iterable[type]) -> None:
    for kind in kinds:
        definitions.renew()
        msg = (
            f"{kind.__qualname__} was defined again since a task was given one as an argument: that is an instance of "
            "the former class. Construct the tasks anew."
        )
        raise SourceChangedError(msg)
