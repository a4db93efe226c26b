"""Tasks that other runs have: watched until they are done or free, or their driver is found dead."""
from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from ..base.errors import TaskprocError
from ..plan.graph import Plan
from ..runs.adoption import Orphan, Orphans, note_orphan, withdraw
from ..runs.claims import Claim, Claims
from ..runs.ledger import Ledger
from .events import Adopted, Event, Found, Freed
from .lane import Lane
from .lanes import Lanes
from .payloads import Payloads
from .places import Places
from .results import Results
from .seats import Seats

_LOGGER = logging.getLogger(__name__)
_FIRST, _LONGEST = 0.05, 2.0  # seconds between looks, backing off


class Elsewhere:
    """Finds out what became of tasks that other runs have.

    Args:
        plan: The run's plan.
        claims: The claims of all runs.
        orphans: Finds what dead runs left on clusters.
        ledger: This run's ledger.
        seats: Where the run's tasks sit.
        places: Chooses backends.
        payloads: Makes jobs.
        lanes: The run's backends.
        results: Finds results.
    """

    def __init__(
        self,
        plan: Plan,
        claims: Claims,
        orphans: Orphans,
        ledger: Ledger,
        seats: Seats,
        places: Places,
        payloads: Payloads,
        lanes: Lanes,
        results: Results,
    ) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._claims = claims
        self._orphans = orphans
        self._ledger = ledger
        self._seats = seats
        self._places = places
        self._payloads = payloads
        self._lanes = lanes
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

        An attempt of a dead run is ours, in one step and in this run's ledger, before it is followed or withdrawn: who
        comes in between, or after a kill of this run, finds it by our claim.

        Args:
            nodes: The tasks.
        """
        self._pause = min(_LONGEST, self._pause * 1.5)
        self.due = time.monotonic() + self._pause
        claims = self._claims.held([self._graph.digest(node) for node in nodes])
        dead = {run for run in {claim.run for claim in claims.values()} if self._claims.is_dead(run)}
        of = {node: claims.get(self._graph.digest(node)) for node in nodes}
        over = [node for node, claim in of.items() if claim is None or claim.run in dead]
        if not over:
            return []
        self._seats.look_up(over, thoroughly=bool(dead))
        found = self._results.by_others(over)
        left = {node: claim for node in over if (claim := of[node]) is not None}
        events: list[Event] = [Found(found)] if found else []
        freed = [node for node in over if node not in found and node not in left]
        for run in dead:
            of_run = {node: claim for node, claim in left.items() if claim.run == run}
            adopted, without = self._see_to(run, {node: claim for node, claim in of_run.items() if node not in found})
            events += adopted
            freed += without
            self._claims.drop([self._graph.digest(node) for node in of_run if node in found], run)
        return [*events, Freed(freed)] if freed else events

    def _see_to(self, run: str, claims: Mapping[int, Claim]) -> tuple[list[Event], list[int]]:
        """Follow what is wanted of a dead run's attempts, and withdraw the others; give what is adopted and what free.

        What yet another run was faster to see to stays elsewhere.
        """
        orphans = {node: self._orphans.find(claim) for node, claim in claims.items()}
        lanes = {node: self._lane_for(node, orphan) for node, orphan in orphans.items() if orphan is not None}
        for orphan in orphans.values():
            if orphan is not None:
                note_orphan(self._ledger, orphan)
        ours = self._claims.take_over({self._graph.digest(node): claims[node].nonce for node in lanes}, run)
        lost = [node for node, orphan in orphans.items() if orphan is None]
        self._claims.drop([self._graph.digest(node) for node in lost], run)
        adopted: list[Event] = []
        for node, lane in lanes.items():
            orphan = orphans[node]
            if orphan is None or self._graph.digest(node) not in ours:
                continue
            if lane is None:
                withdraw(orphan.directory, orphan.nonce)
                self._claims.give_back([self._graph.digest(node)])
                lost.append(node)
            else:
                lane.note_orphan(orphan.nonce, orphan.ref)
                job = self._payloads.make(node, self._places.choose(node, 0).options, orphan.nonce)
                adopted.append(Adopted(node, lane.name, job))
        return adopted, lost

    def _lane_for(self, node: int, orphan: Orphan) -> Lane | None:
        """Give the lane that can follow a dead run's attempt; None if its result is not wanted or it cannot be had."""
        known = self._graph.class_of(node)
        if not known.accepts(orphan.source) or orphan.upstreams != self._plan.upstreams_digest(node):
            return None
        if not self._seats.move_in(node, orphan.directory):
            return None
        try:
            place = self._places.choose(node, 0)
            if place.plugin.name != orphan.backend:
                place = self._places.default(orphan.backend)
            lane = self._lanes.of(place)
        except TaskprocError as error:
            task = self._graph.tasks[node]
            _LOGGER.warning("the job of %r on %s cannot be followed: %s", task, orphan.backend, error)
            return None
        return lane if lane.capabilities.durable else None
