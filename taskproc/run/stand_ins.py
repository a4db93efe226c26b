"""What stands for an expanding task on a worker: the results of the tasks that it has returned, in their shape."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plan.growth import Growth
from ..tasks.expansion import expanded


def stand_in(growth: Growth, node: int, of_result: Callable[[int], Any]) -> Any:
    """Give what stands for the results of the tasks that a node has returned, and these, and so on.

    Args:
        growth: What has been returned.
        node: The node.
        of_result: Gives what stands for the result of a node that has returned no tasks.
    """
    made: dict[int, Any] = {}
    waiting = [node]
    while waiting:  # as deep as one task returns another, so no recursion
        one = waiting[-1]
        inner = growth.returned.get(one)
        if one in made:
            waiting.pop()
        elif inner is None:
            made[one] = of_result(one)
        elif missing := [up for up in inner if up not in made]:
            waiting += missing
        else:
            made[one] = expanded(growth.shapes[one].filled([made[up] for up in inner]))
    return made[node]
