"""The event loop of a run: hands ready tasks to backends, waits for reports, keeps results, releases what comes next.

It runs in the thread that called `run_graph`, which blocks on one queue with deadlines. Backends work in threads of
their own, and only report.
"""
from __future__ import annotations

import logging
import os
import queue
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..base.errors import TaskprocError
from ..base.limits import Limits
from ..base.outcome import Outcome
from ..plan.graph import Plan
from ..plugin import Job, JobRef
from ..runs.adoption import Orphan, is_filed, withdraw
from ..runs.claims import Claims
from ..store.files import META_SIZE, DamagedResultError, Meta
from ..store.packed import Row
from ..tasks.failed import FailedTaskError
from ..work.execute import execute
from .chronicle import Chronicle
from .elsewhere import Elsewhere
from .failures import cause_of, failed_task
from .jobs import JobMaker, Place
from .request import OnError
from .runner import Inbox, Message, Runner

_LOGGER = logging.getLogger(__name__)

MOST_LOSSES = 3
_TIDY = 0.1  # seconds between releases of claims, flushes of the ledger and calls to listeners
_GROUP = 0.05  # seconds for which packed results are collected, unless tasks are waiting for them
_REFILL = 0.02  # seconds between hand-overs to a backend whose window is still nearly full
_FEW_ATTEMPTS = 16
_ABSENT = 1.0  # seconds between looks for results that may still appear
_UNTIL_CLOSED = 5.0  # seconds for backends to let go after an interrupt


@dataclass
class Attempt:
    """One attempt that a backend has, or will have in a moment."""

    node: int
    job: Job
    runner: Runner | None
    started: float | None = None
    absent_since: float | None = None

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self.runner.name if self.runner else "interactive"


class Driver:
    """Runs a plan.

    Args:
        plan: What must run.
        jobs: Makes jobs.
        claims: Says which tasks are ours.
        chronicle: Learns what happens.
        limits: Rate limits.
        runner_of: Gives the running backend for a place; called again and again.
        inbox: Where backends report.
        on_error: Whether to go on with what does not depend on a failure.
        all_interactive: Whether to run every task in this thread.
        elsewhere: Watches what other drivers run.
        last_number: The number of the newest run when the plan was made (see `Claims.met_others`).

    Attributes:
        ran: How many tasks ran, by name.
        failures: What failed.
    """

    def __init__(
        self,
        plan: Plan,
        jobs: JobMaker,
        claims: Claims,
        chronicle: Chronicle,
        limits: Limits,
        runner_of: Callable[[Place], Runner],
        inbox: Inbox,
        *,
        on_error: OnError,
        all_interactive: bool,
        elsewhere: Elsewhere,
        last_number: int,
    ) -> None:
        self.ran: dict[str, int] = {}
        self.failures: list[FailedTaskError] = []
        self.damaged: list[str] = []
        self.generations: list[dict[str, list[Any]]] | None = None
        self._plan = plan
        self._graph = plan.graph
        self._jobs = jobs
        self._claims = claims
        self._chronicle = chronicle
        self._limits = limits
        self._runner_of = runner_of
        self._inbox = inbox
        self._on_error = on_error
        self._all_interactive = all_interactive
        self._elsewhere = elsewhere
        self._last_number = last_number
        self._runners: dict[str, Runner] = {}
        self._attempts: dict[str, Attempt] = {}
        self._tries: dict[int, int] = {}
        self._losses: dict[int, int] = {}
        self._waiting, self._downstream = _links(plan)
        self._ready: deque[int] = deque(node for node in plan.stale if not self._waiting[node])
        self._admitted: deque[int] = deque()
        self._interactive: deque[int] = deque()
        self._absent: dict[str, Outcome] = {}
        self._absent_due = 0.0
        self._unfinished = len(plan.stale)
        self._stopping = False
        self._releasing: list[bytes] = []
        self._rows: dict[type, list[tuple[int, Row, Meta]]] = {}
        self._tidied = 0.0
        self._committed = 0.0

    def run(self) -> None:
        """Run until all is done, or nothing more can be."""
        try:
            while self._unfinished and not (self._stopping and not self._attempts):
                self._dispatch()
                if self._interactive and not self._stopping:
                    self._run_interactive(self._interactive.popleft())
                elif self._unfinished and (self._attempts or self._elsewhere or self._held_back()):
                    self._receive(self._pause())
                elif self._unfinished and not self._ready and not self._admitted and not self._stopping:
                    break  # what is left depends on failures
                now = time.monotonic()
                if self._rows and (now >= self._committed + _GROUP or len(self._attempts) < _FEW_ATTEMPTS):
                    self._commit_packed(now)
                self._tidy(now)
        finally:
            self._commit_packed(time.monotonic())
            self._tidy(float("inf"))

    def interrupt(self, detach: bool) -> None:
        """Stop everything at once: end what runs, or leave what can live on to the next run."""
        self._stopping = True
        for runner in self._runners.values():
            if not (detach and runner.capabilities.durable):
                runner.cancel([attempt.job for attempt in self._attempts.values() if attempt.runner is runner])
        self.close(detach)

    def close(self, detach: bool = False) -> None:
        """Close the backends, and wait for that for a while."""
        for runner in self._runners.values():
            runner.close(detach)
        deadline = time.monotonic() + _UNTIL_CLOSED
        for runner in self._runners.values():
            if not runner.closed.wait(max(0.0, deadline - time.monotonic())):
                _LOGGER.warning("the backend %s did not close within %g seconds", runner.name, _UNTIL_CLOSED)

    @property
    def left_alive(self) -> bool:
        """Whether durable jobs are left that a later run may find."""
        return any(attempt.runner and attempt.runner.capabilities.durable for attempt in self._attempts.values())

    # --- handing over ---

    def _dispatch(self) -> None:
        """Give what is ready to its backend, as far as limits and windows have room."""
        if self._stopping:
            self._ready.clear()
            self._admitted.clear()
            return
        if self._ready and self.generations is not None:
            self.generations.append(self._remaining())
        limited = []
        while self._ready:
            node = self._ready.popleft()
            if self._limits.admit(node, self._graph.tasks[node]._task_config.channels):
                self._admitted.append(node)
            else:
                limited.append(node)
        self._chronicle.limited(limited)
        while self._admitted:
            self._place(self._admitted.popleft())
        now = time.monotonic()
        for runner in self._runners.values():
            if runner.backlog and runner.room and now >= self._due(runner):
                self._hand_over(runner)

    def _place(self, node: int) -> None:
        task = self._graph.tasks[node]
        if self._all_interactive or task._task_config.interactive:
            self._interactive.append(node)
            return
        try:
            place = self._jobs.place(node, self._tries.get(node, 0))
            runner = self._runner_of(place)
        except TaskprocError as error:
            self._limit_left(node)
            self._fail(node, error)
            return
        self._runners[runner.name] = runner
        if not runner.backlog:
            runner.since = time.monotonic()
        runner.backlog.append(node)

    def _due(self, runner: Runner) -> float:
        """When to hand over what a backend waits for: at once, unless more of it at a time would be better."""
        gather = runner.capabilities.gather
        if gather and (self._attempts or self._elsewhere or self._interactive):
            return (runner.since or 0.0) + gather
        window = runner.capabilities.window
        if window is not None and runner.room < min(len(runner.backlog), window // 4):
            return runner.handed + _REFILL
        return 0.0

    def _hand_over(self, runner: Runner) -> None:
        count = min(runner.room, len(runner.backlog))
        runner.handed = time.monotonic()
        nodes = [runner.backlog.popleft() for _ in range(count)]
        if nodes and self._claims.met_others(self._last_number):
            self._jobs.look_up(nodes)
        jobs = {node: self._jobs.make(node, self._jobs.place(node, self._tries.get(node, 0))) for node in nodes}
        ours = self._claim(nodes, jobs)
        for node in ours:
            job = jobs[node]
            self._attempts[job.nonce] = Attempt(node, job, runner)
        self._chronicle.submitted({node: jobs[node] for node in ours}, runner.name, runner.capabilities.durable)
        runner.load += len(ours)
        runner.submit([jobs[node] for node in ours])

    def _claim(self, nodes: Sequence[int], jobs: Mapping[int, Job]) -> list[int]:
        """Claim nodes; put aside those that another driver runs, and pass over those that it has run."""
        if not nodes:
            return []
        digest = self._graph.digest
        held = self._claims.acquire([(digest(node), jobs[node].nonce) for node in nodes])
        ours = [node for node in nodes if digest(node) not in held]
        for node in nodes:
            if digest(node) in held:
                self._limit_left(node)
                self._elsewhere.add(digest(node), node)
                self._chronicle.elsewhere(node, held[digest(node)].run)
        if self._claims.met_others(self._last_number):
            done = {node for node in ours if self._done_elsewhere(node)}
            for node in done:
                self._limit_left(node)
            ours = [node for node in ours if node not in done]
        self._discard_packed(ours)
        return ours

    def _discard_packed(self, nodes: Sequence[int]) -> None:
        """Drop what these nodes had packed, since their next result may lie in a directory, which it would hide."""
        metas = self._plan.metas
        stale: dict[type, list[bytes]] = {}
        for node in nodes:
            meta = metas[node]
            if meta is not None and meta.size == 0:
                stale.setdefault(type(self._graph.tasks[node]), []).append(meta.identity)
        for cls, digests in stale.items():
            self._graph.classes[cls].store.discard(digests)

    def _done_elsewhere(self, node: int) -> bool:
        """Whether another driver has left a fresh result meanwhile; if so, go on from that."""
        known = self._graph.class_of(node)
        meta = known.store.peek([self._graph.digest(node)])[0]
        if meta is None or self._plan.why_stale(node, meta):
            return False
        self._jobs.look_up([node])
        self._finish(node, meta, "cached")
        return True

    # --- waiting ---

    def _pause(self) -> float | None:
        """Seconds until something must be looked at, even if nobody reports; None for no such thing."""
        now = time.monotonic()
        due = [self._due(runner) for runner in self._runners.values() if runner.backlog and runner.room]
        if self._elsewhere:
            due.append(self._elsewhere.due)
        if self._absent:
            due.append(self._absent_due)
        if self._releasing or self._chronicle.pending:
            due.append(self._tidied + _TIDY)
        if self._rows:
            due.append(self._committed + _GROUP)
        return max(0.0, min(due) - now) if due else None

    def _receive(self, pause: float | None) -> None:
        """Wait for reports, and take in all that have come."""
        try:
            message = self._inbox.get(timeout=pause)
            while True:
                self._take_in(message)
                message = self._inbox.get_nowait()
        except queue.Empty:
            pass
        now = time.monotonic()
        if self._elsewhere and now >= self._elsewhere.due:
            self._look_elsewhere()
        if self._absent and now >= self._absent_due:
            self._look_for_absent()

    def _take_in(self, message: Message) -> None:
        attempt = self._attempts.get(message.nonce)
        if attempt is None:
            return
        if message.kind == "finished":
            self._settle(attempt, message.content)
        elif message.kind == "started":
            host, pid = message.content
            attempt.started = time.time()
            where = {"host": host, "pid": pid}
            self._chronicle.started(attempt.node, message.nonce, attempt.backend, where)
        elif message.kind == "never taken":
            self._never_taken(attempt)
        elif message.kind == "waiting":
            self._chronicle.tell("waiting", attempt.node, message.nonce, attempt.backend, {"reason": message.content})

    def _look_elsewhere(self) -> None:
        """Go on with what other drivers had claimed: done by them, free again, or left by a dead one."""
        adopted: dict[Runner, list[tuple[Job, JobRef]]] = {}
        free = self._elsewhere.look()
        self._jobs.look_up(node for node, _ in free)
        for node, orphan in free:
            if self._done_elsewhere(node):
                continue
            if orphan is not None and self._wanted(node, orphan) and self._jobs.move_in(node, orphan.directory):
                runner = self._runner_for(node, orphan)
                if runner is not None:
                    adopted.setdefault(runner, []).extend(self._adopt(node, orphan, runner))
                    continue
            if orphan is not None:
                withdraw(orphan.directory, orphan.nonce)
            self._ready.append(node)
        for runner, jobs in adopted.items():
            runner.adopt(jobs)

    def _wanted(self, node: int, orphan: Orphan) -> bool:
        known = self._graph.class_of(node)
        return known.accepts(orphan.source) and orphan.upstreams == self._plan.upstreams_digest(node)

    def _runner_for(self, node: int, orphan: Orphan) -> Runner | None:
        """Give the backend that can follow a dead driver's job, if it can be had and its jobs outlive their driver."""
        try:
            place = self._jobs.place(node, 0)
            if place.plugin.name != orphan.backend:
                place = self._jobs.default_place(orphan.backend)
            runner = self._runner_of(place)
        except TaskprocError as error:
            task = self._graph.tasks[node]
            _LOGGER.warning("the job of %r on %s cannot be followed: %s", task, orphan.backend, error)
            return None
        self._runners[runner.name] = runner
        return runner if runner.capabilities.durable else None

    def _adopt(self, node: int, orphan: Orphan, runner: Runner) -> list[tuple[Job, JobRef]]:
        """Take a dead driver's job for ours, under its own nonce; nothing if yet another driver was faster."""
        job = self._jobs.make(node, self._jobs.place(node, 0), orphan.nonce)
        if not self._claim([node], {node: job}):
            return []
        self._attempts[job.nonce] = Attempt(node, job, runner)
        self._chronicle.submitted({node: job}, runner.name, runner.capabilities.durable)
        runner.load += 1
        return [(job, orphan.ref)]

    def _never_taken(self, attempt: Attempt) -> None:
        """Submit anew what the scheduler never had; one that started all the same is looked for again."""
        assert attempt.runner is not None
        ref = attempt.runner.ref(attempt.job.nonce)
        directory, nonce = str(attempt.job.directory), attempt.job.nonce
        if ref is None or withdraw(directory, nonce) or not is_filed(directory, nonce):
            del self._attempts[attempt.job.nonce]
            attempt.runner.load -= 1
            self._again(attempt)
        else:
            attempt.runner.adopt([(attempt.job, ref)])

    def _look_for_absent(self) -> None:
        """Look again for results that another machine may have written a moment ago."""
        self._absent_due = time.monotonic() + _ABSENT
        for nonce, outcome in list(self._absent.items()):
            self._settle(self._attempts[nonce], outcome)

    def _held_back(self) -> bool:
        return any(runner.backlog for runner in self._runners.values())

    # --- the end of an attempt ---

    def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """Judge an attempt that has ended by what it left."""
        meta = self._result(attempt, outcome)
        if meta is None and self._may_still_appear(attempt, outcome):
            return
        self._absent.pop(attempt.job.nonce, None)
        self._chronicle.ended(attempt.job.nonce)
        del self._attempts[attempt.job.nonce]
        if attempt.runner is not None:
            attempt.runner.load -= 1
            attempt.runner.room_freed()
        if meta is not None:
            if outcome.reason or outcome.exit_code:
                reason = outcome.reason or f"its worker ended with exit status {outcome.exit_code}"
                _LOGGER.warning("%r kept its result, but %s", self._graph.tasks[attempt.node], reason)
            if not outcome.value:
                self._kept(attempt.node, attempt.job.nonce, meta)
            return
        self._note_directory(attempt.node)
        if outcome.kind in ("ended", "lost") and self._done_elsewhere(attempt.node):
            self._limit_left(attempt.node)
            return
        if attempt.runner is not None and attempt.runner.ref(attempt.job.nonce) is not None:
            withdraw(str(attempt.job.directory), attempt.job.nonce)  # it cannot come back
        if outcome.kind == "cancelled":
            self._drop(attempt)
        elif outcome.kind == "lost" and self._losses.get(attempt.node, 0) < MOST_LOSSES:
            self._losses[attempt.node] = self._losses.get(attempt.node, 0) + 1
            self._chronicle.tell("lost", attempt.node, attempt.job.nonce, attempt.backend, {"reason": outcome.reason})
            self._again(attempt)
        else:
            self._judge(attempt, outcome)

    def _result(self, attempt: Attempt, outcome: Outcome) -> Meta | None:
        """Find this very attempt's result: handed back, or on disk."""
        node, nonce = attempt.node, attempt.job.nonce
        if outcome.value:
            meta = Meta.unpack(outcome.value[:META_SIZE])
            if meta.commit.hex() == nonce and meta.identity == self._graph.digest(node):
                row = (meta.identity, outcome.value[:META_SIZE], outcome.value[META_SIZE:])
                self._rows.setdefault(type(self._graph.tasks[node]), []).append((node, row, meta))
                return meta
        store = self._graph.class_of(node).store
        found = store.peek_instance(self._jobs.directory(node), self._graph.digest(node))
        return found if found is not None and found.commit.hex() == nonce else None

    def _may_still_appear(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether to wait a little for a result that a distant file system may not show yet."""
        latency = attempt.runner.capabilities.latency if attempt.runner else 0.0
        if not latency or outcome.kind != "ended" or outcome.exit_code != 0:
            return False
        now = time.monotonic()
        if attempt.absent_since is None:
            attempt.absent_since = now
            self._absent_due = now + _ABSENT
        self._absent[attempt.job.nonce] = outcome
        return now < attempt.absent_since + latency

    def _judge(self, attempt: Attempt, outcome: Outcome) -> None:
        """Fail a task, or try it again."""
        node = attempt.node
        cause = cause_of(outcome, self._jobs.directory(node), attempt.job.nonce)
        if isinstance(cause, DamagedResultError):
            self.damaged.append(str(cause))
        tried = self._tries.get(node, 0)
        if outcome.kind == "ended" and tried < self._graph.tasks[node]._task_config.retries and not self._stopping:
            self._tries[node] = tried + 1
            _LOGGER.warning("%r failed (%s) and is tried again", self._graph.tasks[node], cause)
            detail = {"reason": str(cause), "retried": True}
            self._chronicle.tell("failed", node, attempt.job.nonce, attempt.backend, detail)
            self._again(attempt)
            return
        self._limit_left(node)
        self._fail(node, cause, attempt.job.nonce)

    def _again(self, attempt: Attempt) -> None:
        """Make a node ready for another attempt."""
        self._limit_left(attempt.node)
        self._releasing.append(self._graph.digest(attempt.node))
        self._release_claims()
        self._ready.append(attempt.node)

    def _drop(self, attempt: Attempt) -> None:
        """Let go of an attempt that was ended on our own request."""
        self._limit_left(attempt.node)
        self._releasing.append(self._graph.digest(attempt.node))
        self._chronicle.tell("cancelled", attempt.node, attempt.job.nonce, attempt.backend)
        if not self._stopping:
            self._fail(attempt.node, TaskprocError("it was cancelled"), attempt.job.nonce)

    def _kept(self, node: int, nonce: str, meta: Meta) -> None:
        """Go on from a result that is in the cache."""
        if self._jobs.unplaced(node) and meta.size != 0:
            self._note_directory(node)
        name = self._graph.tasks[node]._task_config.name
        self.ran[name] = self.ran.get(name, 0) + 1
        self._jobs.learn(node, meta.seconds, None)
        self._limit_left(node)
        self._finish(node, meta, "done", nonce)

    def _finish(self, node: int, meta: Meta, kind: Literal["cached", "done"], nonce: str = "") -> None:
        self._plan.done(node, meta)
        self._unfinished -= 1
        self._releasing.append(meta.identity)
        for down in self._downstream[node]:
            self._waiting[down] -= 1
            if not self._waiting[down]:
                self._ready.append(down)
        self._chronicle.tell(kind, node, nonce, "", {"seconds": round(meta.seconds, 6), "memory": meta.memory})

    def _fail(self, node: int, cause: BaseException, nonce: str = "") -> None:
        self._unfinished -= 1
        self._releasing.append(self._graph.digest(node))
        error = failed_task(self._graph.tasks[node], cause, self._jobs.directory(node))
        self.failures.append(error)
        self._chronicle.tell("failed", node, nonce, "", {"reason": str(error).partition("\n")[0]})
        if self._on_error == "stop":
            self._stop()

    def _stop(self) -> None:
        """Submit nothing more, and take back what has not started."""
        self._stopping = True
        self._ready.clear()
        for runner in self._runners.values():
            runner.backlog.clear()
            runner.take_back([a.job for a in self._attempts.values() if a.runner is runner and a.started is None])

    def _limit_left(self, node: int) -> None:
        self._admitted.extend(self._limits.leave(self._graph.tasks[node]._task_config.channels))

    # --- keeping ---

    def _commit_packed(self, now: float) -> None:
        """Keep the small results that have come in, one group per class, and only then count them as done."""
        self._committed = now
        rows_of, self._rows = self._rows, {}
        for cls, items in rows_of.items():
            self._graph.classes[cls].store.commit_packed([row for _, row, _ in items])
            for node, row, meta in items:
                self._jobs.learn(node, meta.seconds, row[2])
                self._kept(node, meta.commit.hex(), meta)

    def _note_directory(self, node: int) -> None:
        """Note the id of a task whose instance directory has been made after all."""
        if self._jobs.unplaced(node):
            store = self._graph.class_of(node).store
            store.ids.assign({self._graph.digest(node): self._jobs.ids[node]})

    def _tidy(self, now: float) -> None:
        """Now and then, release claims, write the ledger out, and tell those who watch."""
        if now < self._tidied + _TIDY:
            return
        self._tidied = min(now, time.monotonic())
        self._release_claims()
        self._chronicle.flush()

    def _release_claims(self) -> None:
        if self._releasing:
            releasing, self._releasing = self._releasing, []
            self._claims.release(releasing)

    def _remaining(self) -> dict[str, list[Any]]:
        left: dict[str, list[Any]] = {}
        for node in self._plan.stale:
            if self._plan.reasons[node]:
                task = self._graph.tasks[node]
                left.setdefault(task._task_config.name, []).append(task.task_args)
        return left

    # --- interactive tasks ---

    def _run_interactive(self, node: int) -> None:
        """Run a task here, with the real terminal; what the backends report meanwhile waits in the queue."""
        job = self._jobs.make(node, Place(plugin=None, options=None))  # type: ignore[arg-type]  # runs on no backend
        if not self._claim([node], {node: job}):
            return
        attempt = Attempt(node, job, None, started=time.time())
        self._attempts[job.nonce] = attempt
        self._chronicle.started(node, job.nonce, attempt.backend, {"host": socket.gethostname(), "pid": os.getpid()})
        self._tidy(float("inf"))  # who draws on the terminal must leave it to the task
        try:
            outcome = execute(job.payload(), "none", self._await_others)
        except TaskprocError as error:
            outcome = Outcome("rejected", str(error))
        self._settle(attempt, outcome)

    def _await_others(self) -> None:
        """Let all that runs end, before an interactive task runs a graph of its own that may want its results."""
        while any(attempt.runner for attempt in self._attempts.values()):
            self._receive(self._pause())
        self._commit_packed(time.monotonic())
        self._release_claims()


def _links(plan: Plan) -> tuple[list[int], list[list[int]]]:
    """Count, for every stale node, the stale nodes that it waits for, and list those that wait for it."""
    waiting = [0] * len(plan.graph)
    downstream: list[list[int]] = [[]] * len(plan.graph)
    for node in plan.stale:
        downstream[node] = []
        for up in set(plan.graph.upstreams[node]):
            if plan.reasons[up]:
                waiting[node] += 1
                downstream[up].append(node)
    return waiting, downstream
