"""Tasks that other drivers of the cache hold: watched until they are free, or their driver is found dead."""
from __future__ import annotations

import time

from ..runs.adoption import Orphan, Orphans
from ..runs.claims import Claims

_FIRST, _LONGEST = 0.05, 2.0  # seconds between looks, backing off


class Elsewhere:
    """The nodes of a run that other drivers run.

    Args:
        claims: The claims of all drivers.
        orphans: Finds what dead drivers left.
    """

    def __init__(self, claims: Claims, orphans: Orphans) -> None:
        self._claims = claims
        self._orphans = orphans
        self._nodes: dict[bytes, int] = {}
        self._pause = _FIRST
        self._due = 0.0

    def __bool__(self) -> bool:
        return bool(self._nodes)

    @property
    def due(self) -> float:
        """The time of the next look, on the monotonic clock."""
        return self._due

    def add(self, digest: bytes, node: int) -> None:
        """Watch a node."""
        self._nodes[digest] = node
        self._pause = _FIRST
        self._due = time.monotonic() + _FIRST

    def look(self) -> list[tuple[int, Orphan | None]]:
        """Give the nodes that are nobody's any more, with what a dead driver left of each, if it did."""
        held = self._claims.held(self._nodes)
        dead = {run for run in {claim.run for claim in held.values()} if self._claims.is_dead(run)}
        free: list[tuple[int, Orphan | None]] = []
        for digest in list(self._nodes):
            claim = held.get(digest)
            if claim is None:
                free.append((self._nodes.pop(digest), None))
            elif claim.run in dead:
                free.append((self._nodes.pop(digest), self._orphans.find(claim)))
        for run in dead:
            self._claims.take_over([digest for digest, claim in held.items() if claim.run == run], run)
        self._pause = min(_LONGEST, self._pause * 1.5)
        self._due = time.monotonic() + self._pause
        return free
