"""The results of a run: those of its own attempts, those that others leave meanwhile, those that are yet to be kept."""
from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from ..base.outcome import Outcome
from ..plan.graph import Plan
from ..store.meta import META_SIZE, Meta
from ..store.packed import Row
from .events import Rechecked
from .payloads import Payloads
from .seats import Seats

_GROUP = 0.05  # seconds for which results are collected that are kept together


class Results:
    """Finds and keeps results.

    Args:
        plan: The run's plan.
        seats: Where its tasks sit.
        payloads: Learns the values that others will want.
    """

    def __init__(self, plan: Plan, seats: Seats, payloads: Payloads) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._seats = seats
        self._payloads = payloads
        self._rows: dict[type, list[tuple[int, Row, Meta]]] = {}
        self._kept = 0.0

    def of_attempt(self, node: int, nonce: str, outcome: Outcome) -> Meta | None:
        """Find this very attempt's result: handed back, to be kept soon, or on disk."""
        found = self._of_attempt(node, nonce, outcome)
        if found is not None:
            self._plan.inputs.warn_of_change(node, found)
        return found

    def _of_attempt(self, node: int, nonce: str, outcome: Outcome) -> Meta | None:
        digest = self._graph.digest(node)
        if len(outcome.value) >= META_SIZE:
            meta = Meta.unpack(outcome.value[:META_SIZE])
            if meta.commit.hex() == nonce and meta.identity == digest:
                row = (meta.identity, outcome.value[:META_SIZE], outcome.value[META_SIZE:])
                self._rows.setdefault(type(self._graph.tasks[node]), []).append((node, row, meta))
                return meta
        found = self._graph.class_of(node).store.peek_instance(self._seats.directory(node), digest)
        return found if found is not None and found.commit.hex() == nonce else None

    def by_others(self, nodes: Collection[int]) -> dict[int, Meta]:
        """Find results that will do and that this run did not make.

        A task that runs by force is not done by the result that the plan saw.
        """
        found: dict[int, Meta] = {}
        for cls, among in self._graph.by_class(nodes).items():
            metas = self._graph.classes[cls].store.peek([self._graph.digest(node) for node in among])
            for node, meta in zip(among, metas, strict=True):
                if meta is not None and not self._plan.why_stale(node, meta) and not self._is_barred(node, meta):
                    found[node] = meta
        self._seats.look_up(found)
        return found

    def recheck(self, nodes: Sequence[int]) -> Rechecked:
        """Say which of these nodes, whose upstreams are done, have results that are fresh after all."""
        fresh: dict[int, Meta] = {}
        for node in nodes:
            meta = self._plan.metas[node]
            if meta is not None and node not in self._plan.displaced and not self._plan.why_stale(node, meta):
                fresh[node] = meta
        return Rechecked(fresh, [node for node in nodes if node not in fresh])

    def put_in_place(self, nodes: Collection[int]) -> dict[int, Meta]:
        """Put results in their place that will do and are not there, of tasks that this run has claimed."""
        found: dict[int, Meta] = {}
        for node in self._plan.displaced.keys() & nodes:
            result = self._plan.displaced.pop(node)
            if self._plan.why_stale(node, result.meta, in_place=False):
                continue
            if result.put_in_place(self._seats.ids[node]):
                if result.meta.size != 0:
                    self._seats.note(node)
                if not self._plan.why_stale(node, result.meta):
                    found[node] = result.meta
        return found

    def discard_hiding(self, node: int, meta: Meta) -> None:
        """Drop what a task had packed, if its new result lies in its directory, where that one would hide it."""
        before = self._plan.metas[node]
        if meta.size != 0 and before is not None and before.size == 0:
            self._graph.class_of(node).store.discard([before.identity])

    @property
    def due(self) -> float | None:
        """When to keep what was handed back, on the monotonic clock; None: there is nothing."""
        return self._kept + _GROUP if self._rows else None

    def keep(self) -> dict[int, Meta]:
        """Keep what was handed back, one group per class; only then is it done."""
        self._kept = time.monotonic()
        kept: dict[int, Meta] = {}
        for cls, items in list(self._rows.items()):
            self._graph.classes[cls].store.commit_packed([row for _, row, _ in items])
            del self._rows[cls]  # not before they are committed: an interrupt may come
            for node, row, meta in items:
                self._payloads.remember(node, row[2])
                kept[node] = meta
        return kept

    def _is_barred(self, node: int, meta: Meta) -> bool:
        seen = self._plan.metas[node]
        return node in self._plan.forced and seen is not None and seen.commit == meta.commit
