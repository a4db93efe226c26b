"""Judging attempts that have ended, by what they left: never by what anybody says of their success."""
from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..base.errors import SourceChangedError, TaskprocError, UpstreamChangedError
from ..base.outcome import Outcome
from ..plan.graph import TaskGraph
from ..runs.adoption import forget
from ..store import files
from . import events
from .chronicle import Chronicle
from .failures import cause_of
from .lanes import Lanes
from .records import UNSEEN, Records
from .results import Results
from .seats import Seats

_LOGGER = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between looks for results that may still show


class Judge:
    """Finds out what attempts have left, and tells the board.

    Args:
        graph: The run's graph.
        records: Its tasks.
        seats: Where its tasks sit.
        results: Finds results.
        lanes: The run's backends.
        chronicle: Learns that an attempt has ended.
        take: Tells the board of an event.

    Attributes:
        damaged: The tasks that met a damaged result.
        due: When to look again for results that may still show, on the monotonic clock.
    """

    def __init__(
        self,
        graph: TaskGraph,
        records: Records,
        seats: Seats,
        results: Results,
        lanes: Lanes,
        chronicle: Chronicle,
        take: Callable[..., None],
    ) -> None:
        self.damaged: list[int] = []
        self.due = 0.0
        self._graph = graph
        self._records = records
        self._seats = seats
        self._results = results
        self._lanes = lanes
        self._chronicle = chronicle
        self._take = take

    def look_again(self) -> None:
        """Look once more for results that may still show."""
        self.due = time.monotonic() + _LOOK
        for node in list(self._records.unseen):
            record = self._records.of[node]
            if record.job is not None and record.outcome is not None:
                self.settle(node, record.job.nonce, record.outcome)

    def settle(self, node: int, nonce: str, outcome: Outcome) -> None:
        """Judge an attempt that has ended by what it left."""
        record = self._records.of[node]
        if self._may_run_on(record.lane, outcome):
            return
        meta = self._results.of_attempt(node, nonce, outcome)
        if meta is None and (until := self._shows_until(node, nonce, outcome)) > time.monotonic():
            self.due = self.due if self._records.unseen else time.monotonic() + _LOOK
            self._take(events.Unseen(nonce, outcome, until))
            return
        self._chronicle.ended(nonce)
        if record.lane:
            self._lanes[record.lane].room_freed()
        if meta is not None:
            if outcome.reason or outcome.exit_code:
                reason = outcome.reason or f"its worker ended with exit status {outcome.exit_code}"
                _LOGGER.warning("%r kept its result, but %s", self._graph.tasks[node], reason)
                forget(self._seats.directory(node), nonce)
            self._results.discard_hiding(node, meta)
            self._take(events.Judged(nonce, "ended", meta, handed_back=meta.size == 0))
            return
        self._seats.note(node)
        if outcome.kind in ("ended", "lost") and (found := self._results.by_others([node])):
            self._take(events.Found(found))
            return
        cause = self.cause(node, nonce, outcome)
        if isinstance(cause, (files.DamagedResultError, UpstreamChangedError)):
            self.damaged.append(node)
        kind = outcome.kind
        if isinstance(cause, (SourceChangedError, UpstreamChangedError)):  # no failure of the task's: trying is no use
            files.forget_failure(self._seats.directory(node))
            kind = "rejected"
        self._take(events.Judged(nonce, kind, cause=cause))

    def cause(self, node: int, nonce: str, outcome: Outcome) -> BaseException:
        """Find out why an attempt has no result."""
        if outcome.kind == "cancelled":
            return TaskprocError(outcome.reason or "it was cancelled")
        return cause_of(outcome, self._seats.directory(node), nonce)

    def _may_run_on(self, lane: str, outcome: Outcome) -> bool:
        """Whether an attempt that an interrupt was to end could not be: the next run looks for it by its claim."""
        unsure = outcome.kind == "cancelled" and bool(outcome.reason) and self._lanes.closing
        return unsure and bool(lane) and self._lanes[lane].capabilities.durable

    def _shows_until(self, node: int, nonce: str, outcome: Outcome) -> float:
        """Until when a result, or a failure, that a distant file system does not show yet may still show; 0: not."""
        record = self._records.of[node]
        if record.state is UNSEEN:
            return record.until
        latency = self._lanes[record.lane].capabilities.latency if record.lane else 0.0
        if not latency or outcome.kind not in ("ended", "lost"):
            return 0.0
        if files.load_failure(self._seats.directory(node), nonce) is not None:
            return 0.0
        return time.monotonic() + latency
