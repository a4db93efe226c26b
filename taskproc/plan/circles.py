"""Tasks that wait for each other, as expanding ones may: found, and told."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..base.errors import CycleError

_MOST_NAMED = 12


def circle_through(node: int, awaited: Callable[[int], Iterable[int]]) -> list[int] | None:
    """Find a way from a node over what it waits for back to itself; the node stands at both ends.

    >>> circle_through(1, {1: [2, 3], 2: [], 3: [1]}.__getitem__)
    [1, 3, 1]
    """
    came_from: dict[int, int] = {}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        for up in awaited(one):
            if up == node:
                return [*_path(came_from, one), node]
            if up not in came_from:
                came_from[up] = one
                waiting.append(up)
    return None


def reached(node: int, awaited: Callable[[int], Iterable[int]]) -> set[int]:
    """Give a node and all that it waits for, directly or not."""
    found, waiting = {node}, [node]
    while waiting:
        new = set(awaited(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def told_circle(names: Sequence[str]) -> CycleError:
    """Say that tasks wait for each other; the first is the last again, and has returned the second."""
    shown = names if len(names) <= _MOST_NAMED else [*names[:5], f"... {len(names) - 10} more ...", *names[-5:]]
    msg = f"a task needs itself: {' -> '.join(shown)}; {names[0]} returned {names[1]}, which needs its results"
    return CycleError(msg)


def _path(came_from: dict[int, int], node: int) -> list[int]:
    path = [node]
    while path[-1] in came_from:
        path.append(came_from[path[-1]])
    return path[::-1]
