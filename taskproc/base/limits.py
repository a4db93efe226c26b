"""Rate limits: how many tasks with a label may run at once."""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from .errors import SettingsError


class Limits:
    """Admits nodes while every one of their limited labels has room, and keeps the others waiting in order.

    Nodes with the same limited labels wait in one line, so that a step costs by the number of lines, not of nodes.

    Args:
        caps: The most tasks at once, per channel or task name.

    Attributes:
        caps: As given.

    Example:
        >>> limits = Limits({"gpu": 1})
        >>> limits.admit(1, ("Train", "gpu")), limits.admit(2, ("Score", "gpu"))
        (True, False)
        >>> limits.leave(("Train", "gpu"))
        [2]
    """

    def __init__(self, caps: Mapping[str, int]) -> None:
        for label, cap in caps.items():
            if not isinstance(cap, int) or cap < 1:
                msg = f"the rate limit of {label!r} is {cap!r}; it must be a whole number from 1"
                raise SettingsError(msg)
        self.caps = dict(caps)
        self._room = dict(caps)
        self._lines: dict[tuple[str, ...], deque[int]] = {}
        self._limited: dict[tuple[str, ...], tuple[str, ...]] = {}

    def admit(self, node: int, labels: tuple[str, ...]) -> bool:
        """Take a place for a node, or else let it wait."""
        limited = self.limited(labels)
        if not limited:
            return True
        line = self._lines.get(limited)
        if not line and self._has_room(limited):
            self._take(limited)
            return True
        self._lines.setdefault(limited, deque()).append(node)
        return False

    def leave(self, labels: tuple[str, ...]) -> list[int]:
        """Give a node's place back; return those that have taken a place now."""
        limited = self.limited(labels)
        if not limited:
            return []
        for label in limited:
            self._room[label] += 1
        admitted = []
        for names, line in self._lines.items():
            while line and not set(names).isdisjoint(limited) and self._has_room(names):
                self._take(names)
                admitted.append(line.popleft())
        return admitted

    def occupy(self, labels: tuple[str, ...]) -> None:
        """Take a place for what runs already, though there may be no room: nobody gets one until it has left."""
        self._take(self.limited(labels))

    def forget_waiting(self) -> None:
        """Let all that wait go."""
        self._lines.clear()

    def limited(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Give those of a node's labels that are limited."""
        if labels not in self._limited:
            self._limited[labels] = tuple(label for label in dict.fromkeys(labels) if label in self._room)
        return self._limited[labels]

    def validate(self, held: Mapping[str, int], waiting: Sequence[int]) -> None:
        """Check that so many places are taken, and that these nodes wait, and that no one waits for nothing.

        Raises:
            AssertionError: It is otherwise.
        """
        for label, cap in self.caps.items():
            assert cap - self._room[label] == held.get(label, 0), f"the places of {label} are counted wrongly"
        assert sorted(node for line in self._lines.values() for node in line) == sorted(waiting), "lines are wrong"
        for limited, line in self._lines.items():
            assert not line or not self._has_room(limited), f"{line[0]} waits though there is room"

    def _has_room(self, limited: tuple[str, ...]) -> bool:
        return all(self._room[label] > 0 for label in limited)

    def _take(self, limited: tuple[str, ...]) -> None:
        for label in limited:
            self._room[label] -= 1
