"""Handing over: from tasks that are ready to jobs that are claimed and submitted."""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..base.errors import TaskprocError
from ..plan.graph import TaskGraph
from ..runs.claims import Claims
from . import events
from .account import Account
from .events import Event
from .lane import Lane
from .lanes import Lanes
from .payloads import Payloads
from .places import Places
from .records import QUEUED, Records
from .results import Results
from .seats import Seats


class Dispatch:
    """Chooses lanes for tasks, and hands over what these have room for.

    Args:
        graph: The run's graph.
        records: Its tasks.
        seats: Where they sit.
        places: Chooses backends.
        payloads: Makes jobs.
        results: Finds what others have done.
        claims: The claims of all runs.
        lanes: The run's backends.
        account: Lists what is left at each step.
        take: Tells the board of an event.
        all_interactive: Whether every task runs in this thread.

    Attributes:
        interactive: What waits for this thread.
    """

    def __init__(
        self,
        graph: TaskGraph,
        records: Records,
        seats: Seats,
        places: Places,
        payloads: Payloads,
        results: Results,
        claims: Claims,
        lanes: Lanes,
        account: Account,
        take: Callable[..., None],
        *,
        all_interactive: bool,
    ) -> None:
        self.interactive: deque[int] = deque()
        self._graph = graph
        self._records = records
        self._seats = seats
        self._places = places
        self._payloads = payloads
        self._results = results
        self._claims = claims
        self._lanes = lanes
        self._account = account
        self._take = take
        self._all_interactive = all_interactive

    def place(self, effect: events.Place) -> None:
        """Choose a lane for each of these nodes, or this thread."""
        self._account.note_generation()
        for node in effect.nodes:
            if self._records.of[node].state is not QUEUED:
                continue
            if self._all_interactive or self._graph.tasks[node]._task_config.interactive:
                self.interactive.append(node)
                continue
            try:
                place = self._places.choose(node, self._records.of[node].tries)
                lane = self._lanes.of(place)
            except TaskprocError as error:
                self._take(events.Impossible(node, error))
            else:
                lane.queue(node, place.options)

    def due(self) -> float | None:
        """Say when there is something to hand over, on the monotonic clock; None: not before something happens."""
        times = [due for lane in self._lanes if (due := self._due(lane)) is not None]
        return min(times) if times else None

    def hand_over(self) -> None:
        """Claim and submit what waits for lanes that have room, if it is time."""
        now = time.monotonic()
        for lane in self._lanes:
            due = self._due(lane)
            if due is not None and now >= due:
                taken = lane.next(self._records.loads.get(lane.name, 0))
                options = {node: one for node, one in taken if self._records.of[node].state is QUEUED}
                self.claim(lane.name, options)

    def claim(self, lane: str, options: Mapping[int, Any]) -> None:
        """Claim nodes for attempts with these options; what others have, or have done, goes other ways."""
        if not options:
            return
        given: list[Event] = []
        jobs = {node: self._payloads.make(node, options[node]) for node in options}
        digest = self._graph.digest
        held = self._claims.acquire([(digest(node), job.nonce) for node, job in jobs.items()])
        if held:
            given.append(events.Held({node: held[digest(node)].run for node in jobs if digest(node) in held}))
            jobs = {node: job for node, job in jobs.items() if digest(node) not in held}
        if not self._claims.alone:
            found = self._results.by_others(jobs)
            if found:
                given.append(events.Found(found))
            left = [node for node in jobs if node not in found]
            self._seats.look_up(left)  # only now can nobody else note other ids for them
            jobs = {node: self._payloads.make(node, options[node], jobs[node].nonce) for node in left}
        if found := self._results.put_in_place(jobs):
            given.append(events.Found(found))
            jobs = {node: job for node, job in jobs.items() if node not in found}
        if jobs:
            given.append(events.Claimed(lane, jobs))
        self._take(*given)

    def _due(self, lane: Lane) -> float | None:
        more_may_come = bool(self._records.attempts or self._records.elsewhere or self.interactive)
        return lane.due(self._records.loads.get(lane.name, 0), more_may_come)
