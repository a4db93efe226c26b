"""What dead runs had begun: followed where this run wants it, ended where it does not."""
from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..base.errors import TaskprocError
from ..plan.graph import Plan
from ..runs.adoption import Orphan, Orphans, note_orphans, withdraw
from ..runs.claims import Claim, Claims
from ..runs.ledger import Ledger
from .events import Adopted
from .lanes import Lanes
from .payloads import Payloads
from .places import Place, Places
from .seats import Seats

_LOGGER = logging.getLogger(__name__)


class Takeover:
    """Sees to the attempts of dead runs.

    An attempt of a dead run is ours, in one step and in this run's ledger, before it is followed or withdrawn: who
    comes in between, or after a kill of this run, finds it by our claim.

    Args:
        plan: The run's plan.
        claims: The claims of all runs.
        orphans: Finds what dead runs left on clusters.
        ledger: This run's ledger.
        seats: Where the run's tasks sit.
        places: Chooses backends.
        payloads: Makes jobs.
        lanes: The run's backends.
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

    def dismiss(self, dead: Mapping[int, str]) -> None:
        """See to it that nothing comes of what dead runs had begun for tasks that are not to run, or not yet.

        Args:
            dead: The dead runs that have claims on these nodes.
        """
        claims = self._claims.held([self._graph.digest(node) for node in dead])
        for run in set(dead.values()):
            nodes = [node for node in dead if dead[node] == run and self._graph.digest(node) in claims]
            self.see_to(run, {node: claims[self._graph.digest(node)] for node in nodes}, wanted=False)

    def see_to(self, run: str, claims: Mapping[int, Claim], *, wanted: bool = True) -> tuple[list[Adopted], list[int]]:
        """Follow what is wanted of a dead run's attempts, and end the others; give what is adopted and what is free.

        What yet another run was faster to see to stays elsewhere.
        """
        orphans = {node: orphan for node, claim in claims.items() if (orphan := self._orphans.find(claim)) is not None}
        places = {node: self._place_for(node, orphan) if wanted else None for node, orphan in orphans.items()}
        note_orphans(self._ledger, orphans.values())
        ours = self._claims.take_over({self._graph.digest(node): claims[node].nonce for node in orphans}, run)
        free = [node for node in claims if node not in orphans]
        self._claims.drop([self._graph.digest(node) for node in free], run)
        adopted: list[Adopted] = []
        for node, orphan in orphans.items():
            place = places[node]
            if self._graph.digest(node) not in ours:
                continue
            if place is None:
                self._end(node, orphan)
                self._claims.give_back([self._graph.digest(node)])
                free.append(node)
            else:
                lane = self._lanes.of(place)
                lane.note_orphan(orphan.nonce, orphan.ref)
                adopted.append(Adopted(node, lane.name, self._payloads.make(node, place.options, orphan.nonce)))
        return adopted, free

    def _place_for(self, node: int, orphan: Orphan) -> Place | None:
        """Give the place from which a dead run's attempt can be followed; None if it is not wanted, or cannot be."""
        known = self._graph.class_of(node)
        same_source = not self._plan.detect_source_change or known.accepts(orphan.source)
        same_inputs = orphan.inputs == self._plan.inputs.digest(node)
        if not same_source or not same_inputs or orphan.upstreams != self._plan.upstreams_digest(node):
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
        return place if lane.capabilities.durable else None

    def _end(self, node: int, orphan: Orphan) -> None:
        """Withdraw an attempt of a dead run; one that runs for nothing is ended where that can be done."""
        if withdraw(orphan.directory, orphan.nonce) or not orphan.durable:
            return
        try:
            place = self._places.default(orphan.backend)
            lane = self._lanes.of(place)
        except TaskprocError as error:
            _LOGGER.warning("a job of a killed run on %s cannot be ended: %s", orphan.backend, error)
            return
        if lane.capabilities.durable:
            lane.note_orphan(orphan.nonce, orphan.ref)
            made = self._payloads.make(node, place.options, orphan.nonce)
            job = replace(made, directory=Path(orphan.directory))
            lane.follow([job])
            lane.cancel([job])
