"""Tasks that other runs have: watched until they are done or free, or their driver is found dead."""
from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from ..base.errors import CycleError
from ..plan.graph import TaskGraph
from ..runs.claims import Claims
from ..runs.waits import Waits
from .events import Event, Found, Freed, Impossible
from .results import Results
from .seats import Seats
from .takeover import Takeover

_FIRST, _LONGEST = 0.05, 2.0  # seconds between looks, backing off


class Elsewhere:
    """Finds out what became of tasks that other runs have.

    Args:
        graph: The run's graph.
        claims: The claims of all runs.
        takeover: Sees to the attempts of dead runs.
        waits: What the runs wait for that tasks started; None if this is none of them.
        seats: Where the run's tasks sit.
        results: Finds results.
    """

    def __init__(
        self,
        graph: TaskGraph,
        claims: Claims,
        takeover: Takeover,
        waits: Waits | None,
        seats: Seats,
        results: Results,
    ) -> None:
        self._graph = graph
        self._claims = claims
        self._takeover = takeover
        self._waits = waits
        self._seats = seats
        self._results = results
        self._pause = _FIRST
        self.due = 0.0

    def watch(self) -> None:
        """Learn that another run has a task: look again soon."""
        self._pause = _FIRST
        self.due = time.monotonic() + _FIRST

    def of_dead_runs(self) -> dict[bytes, str]:
        """Give the tasks that dead runs had claimed, with these runs."""
        return {digest: run for run in self._claims.dead_runs() for digest in self._claims.of(run)}

    def look(self, nodes: Collection[int]) -> list[Event]:
        """Say what has become of tasks that others have, as far as anything has.

        Args:
            nodes: The tasks.
        """
        self._pause = min(_LONGEST, self._pause * 1.5)
        self.due = time.monotonic() + self._pause
        claims = self._claims.held([self._graph.digest(node) for node in nodes])
        dead = {run for run in {claim.run for claim in claims.values()} if self._claims.is_dead(run)}
        of = {node: claims.get(self._graph.digest(node)) for node in nodes}
        over = {node: claim for node, claim in of.items() if claim is None or claim.run in dead}
        if circle := self._circle([node for node in nodes if node not in over]):
            return circle
        if not over:
            return []
        self._seats.look_up(over, thoroughly=True)  # whoever saw to a dead run may have dropped its claim already
        found = self._results.by_others(over)
        left = {node: claim for node, claim in over.items() if claim is not None}
        events: list[Event] = [Found(found)] if found else []
        freed = [node for node in over if node not in found and node not in left]
        for run in dead:
            of_run = {node: claim for node, claim in left.items() if claim.run == run}
            wanted = {node: claim for node, claim in of_run.items() if node not in found}
            adopted, without = self._takeover.see_to(run, wanted)
            events += adopted
            freed += without
            self._claims.drop([self._graph.digest(node) for node in of_run if node in found], run)
        return [*events, Freed(freed)] if freed else events

    def _circle(self, nodes: Sequence[int]) -> list[Event]:
        """Give up a task that waits for this run, which a task started: nobody will ever be done with it."""
        if self._waits is None:
            return []
        node_of = self._graph.node_of
        circle = self._waits.circle(list(map(self._graph.digest, nodes)))
        return [Impossible(node_of[circle[0]], CycleError(self._sentence(circle)))] if circle else []

    def _sentence(self, circle: Sequence[bytes]) -> str:
        node_of = self._graph.node_of
        between = [repr(self._graph.tasks[node_of[digest]]) for digest in circle[1:-1] if digest in node_of]
        through = f" through {', '.join(between)}" if between else ""
        root, task = repr(self._graph.tasks[self._graph.root]), repr(self._graph.tasks[node_of[circle[0]]])
        return (
            f"tasks need each other: the graph of {root}, which a running task runs, needs {task}, and this runs a "
            f"graph that needs that very task{through}"
        )
