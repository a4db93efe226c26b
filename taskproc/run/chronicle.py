"""What happened in a run: written to the ledger, and told to those who watch, a few times a second."""
from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..plan.graph import TaskGraph
from ..plugin import Event, Job
from ..runs.ledger import Ledger

if TYPE_CHECKING:
    from .request import Watcher

# These go to the ledger only if they last until the next flush: there are too many of them.
_PASSING = frozenset(("submitted", "started"))
# These say which worker it was, and since when.
_OF_WORKERS = frozenset(("started", "done", "failed", "lost", "cancelled"))
# These have numbers for details: seconds and memory.
_MEASURED = frozenset(("done", "cached"))


class _Running(NamedTuple):
    """An attempt that runs, or has ended without its end being told yet."""

    node: int
    worker: int
    started: float


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
        self._submitted: dict[str, tuple[int, str, float, bool]] = {}
        self._limited: set[int] = set()
        self._running: dict[str, _Running] = {}
        self._ran_on: dict[str, _Running] = {}
        self._workers: dict[tuple[Any, ...], int] = {}
        self._names: dict[type, str] = {}

    @property
    def pending(self) -> bool:
        """Whether there is something to pass on."""
        return bool(self._events or self._running or self._submitted or self._limited)

    def tell(
        self, kind: Any, node: int, nonce: str = "", backend: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Note an event (`Event.kind`) of a node."""
        if kind not in _PASSING:
            self._write(kind, node, nonce, backend, detail)
        if self._watchers:
            name = self._graph.tasks[node]._task_config.name
            self._events.append(Event(time.time(), kind, name, self._ids[node], nonce, backend, detail or {}))

    def submitted(self, jobs: Mapping[int, Job], backend: str, durable: bool) -> None:
        """Note that attempts were handed to a backend; the ledger learns of those that have not ended soon."""
        now = time.time()
        for node, job in jobs.items():
            self._submitted[job.nonce] = node, backend, now, durable
            if self._watchers:
                self.tell("submitted", node, job.nonce, backend)
        if self._limited:
            self._limited.difference_update(jobs)

    def limited(self, nodes: Iterable[int]) -> None:
        """Note that nodes wait for a rate limit; the ledger learns of those that still do at the next flush."""
        self._limited.update(nodes)

    def elsewhere(self, node: int, run: str) -> None:
        """Note that another run computes what a node stands for."""
        self._note({"kind": "elsewhere", "time": round(time.time(), 3), "node": node, "run": run})

    def grown(self, planned: Mapping[str, int], cached: Mapping[str, int]) -> None:
        """Note that tasks were added, so many of each name: those that must run, and those that have results."""
        self._note({"kind": "grown", "time": round(time.time(), 3), "planned": planned, "cached": cached})
        if self._watchers:
            for name in {**planned, **cached}:
                detail = {"planned": planned.get(name, 0), "cached": cached.get(name, 0)}
                self._events.append(Event(time.time(), "grown", name, -1, "", "", detail))

    def started(self, node: int, nonce: str, backend: str, where: Mapping[str, Any]) -> None:
        """Note that an attempt runs; the ledger learns of it if it still does at the next flush."""
        worker = self._worker(backend, where)
        self._running[nonce] = self._ran_on[nonce] = _Running(node, worker, time.time())
        if self._watchers:
            self.tell("started", node, nonce, backend, where)

    def ended(self, nonce: str) -> None:
        """Note that an attempt runs no more."""
        self._submitted.pop(nonce, None)
        self._running.pop(nonce, None)

    def flush(self) -> None:
        """Pass everything on."""
        self._flush_waiting()
        running, self._running = self._running, {}
        for nonce, known in running.items():
            self._write("started", known.node, nonce)
        self._ledger.flush()
        if self._events:
            events, self._events = self._events, []
            for watcher in self._watchers:
                watcher(events)

    def _flush_waiting(self) -> None:
        """Write down what was submitted and has not ended, and what waits for a rate limit: a line for many."""
        groups: dict[tuple[str, float, bool], list[tuple[int, str]]] = {}
        submitted, self._submitted = self._submitted, {}
        for nonce, (node, *group) in submitted.items():
            groups.setdefault((*group,), []).append((node, nonce))  # type: ignore[arg-type]  # the rest of the tuple
        for (backend, at, durable), attempts in groups.items():
            entry = {"kind": "submitted", "time": round(at, 3), "backend": backend}
            nonces = {"nonces": [nonce for _, nonce in attempts]} if durable else {}  # by which jobs get their ids
            self._note({**entry, "nodes": [node for node, _ in attempts], **nonces})
        if self._limited:
            self._note({"kind": "limited", "time": round(time.time(), 3), "nodes": sorted(self._limited)})
            self._limited.clear()

    def _worker(self, backend: str, where: Mapping[str, Any]) -> int:
        """Give the number of the worker at this place, which the ledger learns when it is new."""
        key = backend, *where.values()
        worker = self._workers.get(key)
        if worker is None:
            worker = self._workers[key] = len(self._workers)
            self._note({"kind": "worker", "worker": worker, "backend": backend, **where})
        return worker

    def _note(self, entry: Mapping[str, Any]) -> None:
        self._ledger.note(json.dumps(entry, separators=(",", ":")))

    def _write(
        self, kind: str, node: int, nonce: str, backend: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        cls = type(self._graph.tasks[node])
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = json.dumps(self._graph.tasks[node]._task_config.name)
        if kind in _MEASURED and detail:  # nearly every line is one of these
            extra = f',"seconds":{detail["seconds"]},"memory":{detail["memory"]}'
        else:
            extra = f",{json.dumps(detail)[1:-1]}" if detail else ""
        if backend:
            extra = f',"backend":"{backend}"{extra}'
        known = self._ran_on.get(nonce) if kind in _OF_WORKERS else None
        if known is not None:
            extra = f',"worker":{known.worker},"started":{known.started:.3f}{extra}'
            if kind != "started":
                del self._ran_on[nonce]
        self._ledger.note(
            f'{{"kind":"{kind}","time":{time.time():.3f},"node":{node},"task":{name},"id":{self._ids[node]},'
            f'"nonce":"{nonce}"{extra}}}'
        )
