"""A lane: one backend as the loop sees it, with what waits for it, and when that is handed over."""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from ..plugin import BackendPlugin, Capabilities, Job, JobRef
from ..runs.staging import StagedSets
from .caller import Caller

_REFILL = 0.02  # seconds between hand-overs to a backend whose window is still nearly full
_PATIENCE = 1.0  # seconds between offers of what was not taken, when jobs have ended


class Lane:
    """One backend of the run.

    Args:
        plugin: The backend's plugin.
        capabilities: What it says of itself.
        caller: Makes the calls.
        staging: Where it files jobs.

    Attributes:
        backlog: Nodes that wait for room, in order, with the options of their attempts.
    """

    def __init__(self, plugin: BackendPlugin, capabilities: Capabilities, caller: Caller, staging: StagedSets) -> None:
        self.name = plugin.name
        self.plugin = plugin
        self.capabilities = capabilities
        self.backlog: deque[tuple[int, Any]] = deque()
        self._caller = caller
        self._staging = staging
        self._since = 0.0
        self._handed = 0.0
        self._offered = 0.0

    @property
    def closed(self) -> bool:
        """Whether the backend is closed."""
        return self._caller.closed.is_set()

    def queue(self, node: int, options: Any) -> None:
        """Let a node wait for the backend."""
        if not self.backlog:
            self._since = time.monotonic()
        self.backlog.append((node, options))

    def room(self, load: int) -> int:
        """Say how many of those that wait may be handed over, while the backend has so many jobs."""
        window = self.capabilities.window
        return len(self.backlog) if window is None else min(len(self.backlog), max(0, window - load))

    def due(self, load: int, more_may_come: bool) -> float | None:
        """Say when to hand over what waits: at once (0), later, for more of it at a time is better, or not now (None).

        Args:
            load: How many jobs the backend has.
            more_may_come: Whether something under way may make more ready.
        """
        room = self.room(load)
        if not room:
            return None
        if self.capabilities.gather and more_may_come:
            return self._since + self.capabilities.gather
        window = self.capabilities.window
        if window is not None and window - load < min(len(self.backlog), window // 4):
            return self._handed + _REFILL
        return 0.0

    def next(self, load: int) -> list[tuple[int, Any]]:
        """Take what is to be handed over now."""
        self._handed = time.monotonic()
        return [self.backlog.popleft() for _ in range(self.room(load))]

    def submit(self, jobs: Iterable[Job]) -> None:
        """Hand jobs over, those of one options value together."""
        groups: dict[Any, list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.options, []).append(job)
        for group in groups.values():
            self._caller.submit(group)

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended."""
        if jobs:
            self._caller.cancel(jobs)

    def take_back(self, jobs: Sequence[Job]) -> None:
        """Have those jobs ended that have not started."""
        if jobs:
            self._caller.take_back(jobs)

    def follow(self, jobs: Sequence[Job]) -> None:
        """Have jobs followed that were filed before, by a dead run or for a submission without an answer."""
        self._caller.adopt(jobs, [self._staging.refs[job.nonce] for job in jobs])

    def note_orphan(self, nonce: str, ref: JobRef) -> None:
        """Learn where a dead run filed an attempt that is ours now."""
        self._staging.adopt(nonce, ref)

    def room_freed(self) -> None:
        """Learn that one of its jobs has ended, so that one that was not taken may be now."""
        if self._caller.holds and time.monotonic() > self._offered + _PATIENCE:
            self._offered = time.monotonic()
            self._caller.try_again()

    def close(self, detach: bool) -> None:
        """Have the backend closed."""
        self._caller.close(detach)
