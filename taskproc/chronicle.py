"""What happened in a run: written to the ledger, and told to those who watch, a few times a second."""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .graph import TaskGraph
from .ledger import Ledger
from .plugin import Event

Watcher = Callable[[Sequence[Event]], None]

# These go to the ledger only if they last, or not at all: there are too many of them.
_PASSING = frozenset(("submitted", "started"))


class Chronicle:
    """Collects events, and passes them on when it is flushed.

    Args:
        ledger: The run's account.
        graph: The run's graph.
        ids: The tasks' ids, by node.
        watchers: Called with the events since the last call.
    """

    def __init__(self, ledger: Ledger, graph: TaskGraph, ids: Sequence[int], watchers: Sequence[Watcher]) -> None:
        self._ledger = ledger
        self._graph = graph
        self._ids = ids
        self._watchers = watchers
        self._events: list[Event] = []
        self._running: dict[str, tuple[int, str, Mapping[str, Any]]] = {}
        self._names: dict[type, str] = {}

    @property
    def pending(self) -> bool:
        """Whether there is something to pass on."""
        return bool(self._events or self._running)

    def tell(
        self, kind: Any, node: int, nonce: str = "", backend: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Note an event (`Event.kind`) of a node."""
        if kind not in _PASSING:
            self._write(kind, node, nonce, backend, detail)
        if self._watchers:
            name = self._graph.tasks[node]._task_config.name
            self._events.append(Event(time.time(), kind, name, self._ids[node], nonce, backend, detail or {}))

    def started(self, node: int, nonce: str, backend: str, where: Mapping[str, Any]) -> None:
        """Note that an attempt runs; the ledger learns of it if it still does at the next flush."""
        self._running[nonce] = (node, backend, where)
        self.tell("started", node, nonce, backend, where)

    def ended(self, nonce: str) -> None:
        """Note that an attempt runs no more."""
        self._running.pop(nonce, None)

    def flush(self) -> None:
        """Pass everything on."""
        running, self._running = self._running, {}
        for nonce, (node, backend, where) in running.items():
            self._write("started", node, nonce, backend, where)
        self._ledger.flush()
        if self._events:
            events, self._events = self._events, []
            for watcher in self._watchers:
                watcher(events)

    def _write(self, kind: str, node: int, nonce: str, backend: str, detail: Mapping[str, Any] | None) -> None:
        cls = type(self._graph.tasks[node])
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = json.dumps(self._graph.tasks[node]._task_config.name)
        extra = f",{json.dumps(detail)[1:-1]}" if detail else ""
        self._ledger.note(
            f'{{"kind":"{kind}","time":{time.time():.3f},"task":{name},"id":{self._ids[node]},'
            f'"nonce":"{nonce}","backend":"{backend}"{extra}}}'
        )
