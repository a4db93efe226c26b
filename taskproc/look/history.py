"""The runs of a cache and what became of their tasks, read from disk while they go on and after they have ended.

Nothing is unpickled, and nothing but the files in the cache counts, so this works on a cache from another machine, too.
A line that was cut short or damaged is passed over.
"""
from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ..runs import ledger
from ..runs.outline import Outline, OutlinedTask, read_outline
from ..store.cache import Cache
from ..store.files import ATTEMPT, RESULT, DamagedResultError, peek, read_object

RunStatus = Literal["running", "done", "failed", "interrupted", "died"]
TaskStatus = Literal["cached", "waiting", "queued", "running", "done", "failed", "cancelled", "lost"]

_END = 1 << 16  # bytes at the end of a ledger in which its last entry is
_END_OF_TIME = 1e11  # the year 5138, by which a number that is no time is told
_OVER: frozenset[TaskStatus] = frozenset(("cached", "done"))
_ENDS: Mapping[str, TaskStatus] = {
    "done": "done", "cached": "cached", "failed": "failed", "lost": "lost", "cancelled": "cancelled",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of a cache.

    Attributes:
        id: Its name, `YYYYmmdd-HHMMSS-mmm-xxxxxxxx`, which sorts by time; `-nested` follows if a task started it.
        directory: `{cache}/taskproc/.runs/{id}`.
        root: The task asked for, as shown to people.
        file: The source file of that task; empty if it has none.
        argv: The command line of the driver.
        host: The driver's machine.
        pid: The driver's process.
        started: When, in seconds since the epoch.
        ended: When; None while it runs, and for a driver that died.
        status: `running`, `done`, `failed`, `interrupted`, or `died` for a driver that was killed.
        cached: Tasks per class that were fresh from the start.
        planned: Tasks per class that had to run.
        done: Tasks per class that ran; known at the end.
        failed: Tasks per class that failed; known at the end.
    """

    id: str
    directory: str
    root: str = ""
    file: str = ""
    argv: Sequence[str] = ()
    host: str = ""
    pid: int = 0
    started: float = 0.0
    ended: float | None = None
    status: RunStatus = "running"
    cached: Mapping[str, int] = field(default_factory=dict)
    planned: Mapping[str, int] = field(default_factory=dict)
    done: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether its driver works."""
        return self.status == "running"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a task. Times are in seconds since the epoch.

    Attributes:
        nonce: Its own name; empty while it is not known.
        state: `queued`, `running`, `done`, `failed`, `cancelled` or `lost`.
        submitted: When it was handed to its backend; None if it ended within a moment.
        started: When it started, as far as the driver knows.
        ended: When it ended.
        backend: The backend's name.
        host: The worker's machine.
        pid: The worker's process.
        job: The scheduler's id of its job.
        seconds: How long `run_task` took.
        memory: The worker's peak memory in KiB while the task ran.
        reason: Why it is queued, in the scheduler's words; why it failed or was lost.
    """

    nonce: str = ""
    state: TaskStatus = "queued"
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    backend: str = ""
    host: str = ""
    pid: int | None = None
    job: str = ""
    seconds: float | None = None
    memory: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class TaskState:
    """What became of one task in a run.

    Attributes:
        node: Its number in the run's graph.
        name: Its `task_name`.
        id: Its id; -1 while it has none.
        label: How it is shown to people: `Train(n=3)`.
        state: `cached` (another run computed it meanwhile), `waiting`, `queued` (its backend has it), `running`,
            `done`, `failed`, `cancelled` or `lost` (it ran when its driver died).
        why: Why the run has to run it.
        reason: What it waits for, or why it failed.
        upstreams: The nodes that it needs and that had to run as well.
        attempts: Its attempts, the last one last.
        directory: Its instance directory, which need not exist.
    """

    node: int
    name: str
    id: int
    label: str
    state: TaskStatus
    why: str
    reason: str
    upstreams: Sequence[int]
    attempts: Sequence[Attempt]
    directory: str

    @property
    def last(self) -> Attempt | None:
        """Its last attempt, if there was one."""
        return self.attempts[-1] if self.attempts else None


def list_runs(runs: str) -> list[Run]:
    """List the runs of a cache, the newest first.

    Args:
        runs: The cache's directory of runs, `{cache}/taskproc/.runs`.
    """
    return [read_run(path) for path in ledger.run_directories(runs)]


def read_run(directory: str) -> Run:
    """Read what is known of a run as a whole: from its two ends, however long it is."""
    opening: dict[str, Any] = {}
    closing: dict[str, Any] = {}
    try:
        with ledger.open_ledger(f"{directory}/ledger.jsonl") as file:
            first = ledger.parse_lines(file.readline())
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
            last = ledger.parse_lines(file.read())
    except (OSError, EOFError, zlib.error):
        first, last = [], []
    for entry in first + last:
        if entry.get("kind") == "run":
            opening = entry
        elif entry.get("kind") == "end":
            closing = entry
    return _described(directory, opening, closing)


class RunReader:
    """Reads what became of a run's tasks; `refresh()` reads on from where it was.

    Args:
        directory: The run's directory.

    Attributes:
        run: The run, as it was at the last refresh.
    """

    _outline: Outline

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._cache = Cache(os.path.dirname(os.path.dirname(os.path.dirname(directory))))
        self._tail = ledger.LedgerTail(f"{directory}/ledger.jsonl")
        self._forget()
        self.run = _described(directory, {}, {})
        self.refresh()

    def refresh(self) -> bool:
        """Read what is new; whether something is."""
        # Whether the driver lives is asked first: what it wrote before its end is then read.
        alive = ledger.driver_lives(self._directory)
        before = self.run
        entries, anew = self._tail.read()
        if anew:
            self._forget()
        for entry in entries:
            try:
                self._take_in(entry)
            except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
                continue
        self.run = _described(self._directory, self._opening, self._closing, alive)
        return bool(entries) or self.run != before

    @property
    def outline(self) -> Outline:
        """What the run was about to do; without tasks as long as that is not written."""
        if not self._outline.tasks:
            self._outline = read_outline(self._directory) or self._outline
        return self._outline

    def counts(self) -> dict[str, Counter[TaskStatus]]:
        """Count tasks by class and state, those that were fresh from the start as `cached`."""
        counts: dict[str, Counter[TaskStatus]] = {}
        for name, number in self.run.cached.items():
            counts[name] = Counter({"cached": number})
        if not self.run.alive:
            for task in self.tasks():
                counts.setdefault(task.name, Counter())[task.state] += 1
            return counts
        outlined = self.outline.tasks
        for node, known in self._known.items():
            name = outlined[node].task_class.name if node in outlined else known.name
            counts.setdefault(name, Counter())[known.state] += 1
        for name, number in self.run.planned.items():
            of_class = counts.setdefault(name, Counter())
            of_class["waiting"] += max(0, number - (of_class.total() - self.run.cached.get(name, 0)))
        return counts

    def is_pending(self, node: int) -> bool:
        """Whether the run goes on, and has still to run a node, or is at it."""
        known = self._known.get(node, _NOTHING)
        return self.run.alive and known.state in ("waiting", "queued", "running")

    def tasks(self) -> Iterator[TaskState]:
        """Give every task that had to run, each behind its upstreams."""
        outlined = self.outline.tasks
        settled = {node for node, known in self._known.items() if known.state in _OVER}
        failed = {node for node, known in self._known.items() if known.state == "failed"}
        for node in dict.fromkeys([*self.outline.order(), *sorted(self._known)]):
            yield self._state(node, outlined.get(node), self._known.get(node), settled, failed)

    def _state(
        self, node: int, outlined: OutlinedTask | None, known: _Known | None, settled: set[int], failed: set[int]
    ) -> TaskState:
        known = known or _NOTHING
        name = outlined.task_class.name if outlined else known.name
        id = known.id if known.id >= 0 or outlined is None else outlined.id
        directory = f"{self._cache.class_directory(name)}/results/{id}"
        state, reason, attempts = known.state, known.reason, tuple(known.attempts)
        if not self.run.alive and state in ("queued", "running"):
            attempts = (*attempts[:-1], self._left(attempts[-1], directory)) if attempts else ()
            state, reason = (attempts[-1].state, attempts[-1].reason) if attempts else ("waiting", "")
        upstreams = self.outline.upstreams(node)
        if state == "waiting":
            reason = self._why_waiting(known, outlined, [up for up in upstreams if up not in settled], failed)
        label = outlined.label if outlined else f"{name.rpartition('.')[2]}#{id}"
        why = outlined.reason if outlined else ""
        return TaskState(node, name, id, label, state, why, reason, upstreams, attempts, directory)

    def _left(self, attempt: Attempt, directory: str) -> Attempt:
        """Say what became of an attempt whose end its driver did not see: on a cluster it may go on."""
        for state in ("queued", "running", "committing"):
            if attempt.nonce and os.path.exists(f"{directory}/{ATTEMPT}{state}.{attempt.nonce}"):
                left: TaskStatus = "queued" if state == "queued" else "running"
                return replace(attempt, state=left, reason="left by its driver; the next run follows it")
        if _has_result(directory, attempt.nonce):
            return replace(attempt, state="done", reason="")
        if self.run.status == "died":
            return replace(attempt, state="lost", reason="its driver died")
        return replace(attempt, state="cancelled", reason="the run ended")

    def _why_waiting(
        self, known: _Known, outlined: OutlinedTask | None, missing: Sequence[int], failed: set[int]
    ) -> str:
        if missing:
            first = next((up for up in missing if up in failed), missing[0])
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            needs = f"needs {self._label(first)}{more}"
            return f"{needs}, which failed" if first in failed else needs
        if not self.run.alive:
            return "the run ended before its turn"
        if known.reason:
            return known.reason
        if known.limited and outlined is not None and outlined.task_class.limits:
            limits = ", ".join(f"{label}={most}" for label, most in outlined.task_class.limits.items())
            return f"rate limit {limits}"
        return "a free place on its backend"

    def _label(self, node: int) -> str:
        outlined = self.outline.tasks.get(node)
        return outlined.label if outlined else f"task {node}"

    # --- the ledger's entries ---

    def _forget(self) -> None:
        self._outline = Outline()
        self._known: dict[int, _Known] = {}
        self._node_of: dict[str, int] = {}  # by nonce
        self._job_of: dict[str, str] = {}  # by nonce
        self._workers: dict[int, tuple[str, str, int | None]] = {}
        self._opening: dict[str, Any] = {}
        self._closing: dict[str, Any] = {}

    def _take_in(self, entry: dict[str, Any]) -> None:
        kind = entry["kind"]
        if kind == "run":
            self._opening = entry
        elif kind == "end":
            self._closing = entry
        elif kind == "grown":
            self._grown(entry)
        elif kind == "worker":
            self._workers[entry["worker"]] = str(entry["backend"]), str(entry.get("host") or ""), _pid(entry)
        elif kind == "accepted":
            self._accepted(str(entry["nonce"]), str(entry["id"]))
        elif kind == "submitted":
            self._submitted(entry)
        elif kind == "limited":
            for node in entry["nodes"]:
                self._task(int(node)).limited = True
        elif kind == "elsewhere":
            self._task(int(entry["node"])).reason = f"run {entry['run']} computes it"
        elif kind in ("waiting", "started", *_ENDS):
            self._told(kind, entry)

    def _task(self, node: int) -> _Known:
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = _Known()
        return known

    def _grown(self, entry: Mapping[str, Any]) -> None:
        """Take note of tasks that were added to the run."""
        self._outline = Outline()  # which is to be read again
        for kind in ("planned", "cached"):
            total = Counter(_numbers(self._opening.get(kind)))
            total.update(_numbers(entry.get(kind)))
            self._opening = {**self._opening, kind: total}

    def _accepted(self, nonce: str, job: str) -> None:
        self._job_of[nonce] = job
        node = self._node_of.get(nonce)
        if node is not None:
            self._task(node).change(nonce, job=job)

    def _submitted(self, entry: dict[str, Any]) -> None:
        at, backend = _seconds(entry["time"]), str(entry["backend"])
        nodes = entry["nodes"]
        for node, nonce in zip(nodes, entry.get("nonces") or [""] * len(nodes), strict=True):
            known = self._task(int(node))
            if nonce:
                self._node_of[nonce] = int(node)
            known.add(Attempt(nonce, "queued", at, backend=backend, job=self._job_of.get(nonce, "")))

    def _told(self, kind: str, entry: dict[str, Any]) -> None:
        node, nonce, at = int(entry["node"]), str(entry["nonce"]), _seconds(entry["time"])
        known = self._task(node)
        known.name, known.id = str(entry["task"]), int(entry["id"])
        reason = str(entry.get("reason") or "")
        if kind == "waiting":
            known.change(nonce, reason=reason)
            return
        changes = self._where(entry)
        if kind == "started":
            known.change(nonce, state="running", reason="", **changes)
        elif nonce:
            if kind == "done":
                seconds = _seconds(entry["seconds"])
                changes = {"started": at - seconds, **changes, "seconds": seconds, "memory": int(entry["memory"])}
                at = changes["started"] + seconds
            known.change(nonce, **{**changes, "state": _ENDS[kind], "ended": at, "reason": reason})
        known.settle(kind, reason, tried_again=kind == "lost" or entry.get("retried") is True)

    def _where(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry.get("worker") not in self._workers:
            return {}
        backend, host, pid = self._workers[entry["worker"]]
        return {"started": _seconds(entry["started"]), "backend": backend, "host": host, "pid": pid}


class _Known:
    """What the ledger told of one task so far."""

    __slots__ = ("attempts", "id", "limited", "name", "reason", "state")

    def __init__(self) -> None:
        self.name = ""
        self.id = -1
        self.state: TaskStatus = "waiting"
        self.reason = ""
        self.limited = False
        self.attempts: list[Attempt] = []

    def add(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        self.state, self.reason, self.limited = "queued", "", False

    def change(self, nonce: str, **changes: Any) -> None:
        """Learn more of an attempt, which may be new: the last one, for a task has one at a time."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.nonce not in ("", nonce) or last.ended is not None:
            last = Attempt()
            self.attempts.append(last)
        self.attempts[-1] = last = replace(last, nonce=nonce, **changes)
        self.state, self.reason, self.limited = last.state, last.reason, False

    def settle(self, kind: str, reason: str, tried_again: bool) -> None:
        if tried_again:
            self.state, self.reason = "waiting", ""
        elif kind in _ENDS:
            self.state, self.reason = _ENDS[kind], reason


_NOTHING = _Known()


def _described(
    directory: str, opening: Mapping[str, Any], closing: Mapping[str, Any], alive: bool | None = None
) -> Run:
    info = read_object(f"{directory}/run.json")
    status = closing.get("status")
    if status not in ("done", "failed", "interrupted"):
        alive = ledger.driver_lives(directory) if alive is None else alive
        status = "running" if alive else "died"
    return Run(
        id=os.path.basename(directory),
        directory=directory,
        root=str(info.get("root", "")),
        file=str(opening.get("file") or ""),
        argv=[str(word) for word in _a(list, info.get("argv"))],
        host=str(info.get("host", "")),
        pid=_pid(info) or 0,
        started=_seconds(info.get("started"), otherwise=0.0),
        ended=_seconds(closing.get("time"), otherwise=0.0) if closing else None,
        status=cast("RunStatus", status),
        cached=_numbers(closing.get("cached")) or _numbers(opening.get("cached")),
        planned=_numbers(closing.get("planned")) or _numbers(opening.get("planned")),
        done=_numbers(closing.get("done")),
        failed=_numbers(closing.get("failed")),
    )


def _has_result(directory: str, nonce: str) -> bool:
    """Whether the result in an instance directory is this attempt's."""
    try:
        meta = peek(f"{directory}/{RESULT}")
    except DamagedResultError:
        return False
    return meta is not None and meta.commit.hex() == nonce


def _a(kind: type, value: Any) -> Any:
    """Give a value if it is of this type, or else an empty one."""
    return value if isinstance(value, kind) else kind()


def _seconds(value: Any, otherwise: float | None = None) -> float:
    """Give a time that can be shown as one.

    Raises:
        ValueError: It is none, and nothing is to stand for it.
    """
    if isinstance(value, (int, float)) and 0 <= value < _END_OF_TIME:
        return float(value)
    if otherwise is None:
        msg = f"{value!r} is no time"
        raise ValueError(msg)
    return otherwise


def _pid(entry: Mapping[str, Any]) -> int | None:
    pid = entry.get("pid")
    return pid if type(pid) is int else None


def _numbers(table: Any) -> dict[str, int]:
    return {name: number for name, number in _a(dict, table).items() if isinstance(number, int) and number >= 0}
