"""A run's state, written down once, and the rules by which it changes, without input or output.

The loop tells the board what has happened, and carries out what the board answers:

>>> from taskproc.base.limits import Limits
>>> from taskproc.run.events import Opened, Impossible
>>> board = Board([0, 1], {0: [], 1: [0]}, lambda node: (), lambda node: 0, Limits({}), stop_on_failure=False)
>>> board.take(Opened({}))
[Place(nodes=[0])]
>>> board.records.of[1].state
<State.WAITING: 'waits for its upstreams'>
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..base.errors import TaskprocError
from ..base.limits import Limits
from ..base.telling import words_of
from ..plugin import Job
from . import events
from .events import Effect, Event
from .records import (
    DONE,
    DROPPED,
    ELSEWHERE,
    EXPANDED,
    EXPANDING,
    FAILED,
    HOLDING,
    KEEPING,
    LIMITED,
    QUEUED,
    RECHECKED,
    RUNNING,
    SUBMITTED,
    UNSEEN,
    WAITING,
    Record,
    Records,
)

MOST_LOSSES = 3
NOTHING_EXPANDED: Mapping[int, Sequence[int]] = {}


class Board:
    """The tasks of a run, and what becomes of them.

    Args:
        nodes: The tasks that must run, each behind its upstreams.
        upstreams: For each of them, those among them that it needs, each once.
        labels: Gives a task's labels, for the rate limits.
        retries: Gives how many failed attempts of a task are followed by another.
        limits: The rate limits.
        doubtful: Those that need not run if their upstreams turn out to be what they were.
        expands: Says whether a task's result is tasks, which are added to the run, and which it waits for then.
        expanded: Such tasks that have results, with those among the nodes that they wait for.
        stop_on_failure: Whether a failure lets nothing new start.

    Attributes:
        records: The tasks.
        stopping: Whether nothing new may start.
    """

    def __init__(
        self,
        nodes: Sequence[int],
        upstreams: Mapping[int, Sequence[int]],
        labels: Callable[[int], tuple[str, ...]],
        retries: Callable[[int], int],
        limits: Limits,
        doubtful: Collection[int] = (),
        expands: Callable[[int], bool] = lambda node: False,
        expanded: Mapping[int, Sequence[int]] = NOTHING_EXPANDED,
        *,
        stop_on_failure: bool,
    ) -> None:
        self.records = Records([*nodes, *expanded], {**upstreams, **dict.fromkeys(expanded, ())})
        self.stopping = False
        self._begun = False
        self._downstream: dict[int, list[int]] = {}
        self._link(upstreams)
        self._expand(expanded)
        self._labels = labels
        self._retries = retries
        self._limits = limits
        self._stop_on_failure = stop_on_failure
        self._doubtful = set(doubtful)
        self._expands = expands
        self._joined: list[int] = []
        self._rechecked: list[int] = []
        self._placed: list[int] = []
        self._limited: list[int] = []
        self._answers: dict[type, Callable[[Any], list[Effect]]] = {
            events.Opened: self._opened,
            events.Impossible: lambda event: self._fail(event.node, event.cause),
            events.Rechecked: self._recheck_ended,
            events.Held: self._held,
            events.Claimed: self._claimed,
            events.Adopted: self._adopted,
            events.Freed: self._freed,
            events.Found: self._found,
            events.Started: self._started,
            events.Unseen: self._unseen,
            events.Judged: self._judged,
            events.Kept: self._kept,
            events.Grown: self._grown,
            events.Stopped: lambda event: self._stop(),
        }

    def take(self, event: Event) -> list[Effect]:
        """Note what has happened, and say what is to be done about it, in this order.

        What is told of an attempt that has been judged already changes nothing.
        """
        effects = self._answers[type(event)](event)
        if self._joined:
            effects.append(events.Join(self._joined))
            self._joined = []
        if self._rechecked:
            effects.append(events.Recheck(self._rechecked))
            self._rechecked = []
        if self._limited:
            effects.append(events.Limit(self._limited))
            self._limited = []
        if self._placed:
            effects.append(events.Place(self._placed))
            self._placed = []
        return effects

    # --- the beginning ---

    def _opened(self, event: events.Opened) -> list[Effect]:
        self._begun = True
        effects: list[Effect] = []
        for node, cause in event.given_up.items():
            if node in self.records.of and self.records.of[node].state is WAITING:
                effects += self._fail(node, cause)
        for node, record in self.records.of.items():
            if not record.needs and record.state is WAITING and not self.stopping:
                self._queue(node)
        return effects

    def _queue(self, node: int) -> None:
        """Let a task wait for its lane, or for its rate limits."""
        if self._limits.admit(node, self._labels(node)):
            self.records.move(node, QUEUED)
            self._placed.append(node)
        else:
            self.records.move(node, LIMITED)
            self._limited.append(node)

    def _recheck_ended(self, event: events.Rechecked) -> list[Effect]:
        for node in event.stale:
            if self.stopping:
                self.records.move(node, DROPPED)
            else:
                self._queue(node)
        return self._go_on(events.Finish(event.fresh, "spared"))

    # --- who does it ---

    def _held(self, event: events.Held) -> list[Effect]:
        for node in event.runs:
            if self.records.of[node].state is QUEUED:
                self._leave_limits(node)
            self.records.move(node, ELSEWHERE)
        return [events.Watch(event.runs)]

    def _claimed(self, event: events.Claimed) -> list[Effect]:
        state = SUBMITTED if event.lane else RUNNING
        for node, job in event.jobs.items():
            self.records.move(node, state, job, event.lane)
        return [events.Submit(event.lane, event.jobs)] if event.lane else []

    def _adopted(self, event: events.Adopted) -> list[Effect]:
        self._limits.occupy(self._labels(event.node))
        self.records.move(event.node, SUBMITTED, event.job, event.lane)
        return []

    def _freed(self, event: events.Freed) -> list[Effect]:
        for node in event.nodes:
            if self.stopping:
                self.records.move(node, DROPPED)
            else:
                self._queue(node)
        return []

    def _found(self, event: events.Found) -> list[Effect]:
        effects: list[Effect] = []
        for node in event.metas:
            record = self.records.of[node]
            if record.job is not None:
                effects.append(events.Withdraw(record.job))
        effects += self._go_on(events.Finish(event.metas, "others"))
        return [*effects, events.Release(list(event.metas))]

    # --- the end of an attempt ---

    def _started(self, event: events.Started) -> list[Effect]:
        node = self.records.attempts.get(event.nonce)
        if node is not None and self.records.of[node].state is SUBMITTED:
            self.records.move(node, RUNNING)
        return []

    def _unseen(self, event: events.Unseen) -> list[Effect]:
        node = self.records.attempts.get(event.nonce)
        if node is not None and self.records.of[node].state is not UNSEEN:
            self.records.move(node, UNSEEN)
            self.records.of[node].outcome, self.records.of[node].until = event.outcome, event.until
        return []

    def _judged(self, event: events.Judged) -> list[Effect]:
        node = self.records.attempts.get(event.nonce)
        if node is None:
            return []
        if event.meta is not None and event.handed_back:
            self.records.move(node, KEEPING)
            return []
        if event.meta is not None:
            return [*self._go_on(events.Finish({node: event.meta}, "run")), events.Release([node])]
        record = self.records.of[node]
        assert record.job is not None
        return [events.Withdraw(record.job), *self._without_result(node, record, event)]

    def _without_result(self, node: int, record: Record, event: events.Judged) -> list[Effect]:
        cause = event.cause or TaskprocError("its attempt left no result")
        if event.kind == "cancelled":
            told = events.Tell("cancelled", node, event.nonce, record.lane, {})
            if not self.stopping:
                return [told, *self._fail(node, cause)]
            self._leave_limits(node)
            self.records.move(node, DROPPED)
            return [told, events.Release([node])]
        if event.kind == "lost" and record.losses < MOST_LOSSES:
            record.losses += 1
            told = events.Tell("lost", node, event.nonce, record.lane, {"reason": words_of(cause)})
            return [told, *self._again(node)]
        if event.kind == "ended" and record.tries < self._retries(node) and not self.stopping:
            record.tries += 1
            told = events.Tell("failed", node, event.nonce, record.lane, {"reason": words_of(cause), "retried": True})
            return [told, *self._again(node)]
        return self._fail(node, cause)

    def _again(self, node: int) -> list[Effect]:
        """Let a task whose attempt is over have another one.

        Its claim goes back meanwhile: a task that runs a graph of its own may need this one, and holds its place.
        """
        self._leave_limits(node)
        if self.stopping:
            self.records.move(node, DROPPED)
        else:
            self._queue(node)
        return [events.Release([node])]

    def _kept(self, event: events.Kept) -> list[Effect]:
        return [*self._go_on(events.Finish(event.metas, "run")), events.Release(list(event.metas))]

    # --- the end of a task ---

    def _go_on(self, finish: events.Finish) -> list[Effect]:
        """Go on from results; those that are tasks are added to the run before anything follows from them."""
        expanding = {n: meta for n, meta in finish.metas.items() if self._expands(n)} if not self.stopping else {}
        if not expanding:
            self._done(finish.metas)
            return [finish] if finish.metas else []
        for node in expanding:
            if self.records.of[node].state in HOLDING:
                self._leave_limits(node)
            self.records.move(node, EXPANDING)
        effects: list[Effect] = []
        others = {node: meta for node, meta in finish.metas.items() if node not in expanding}
        if others:
            self._done(others)
            effects.append(finish._replace(metas=others))
        return [*effects, events.Expand(finish._replace(metas=expanding))]

    def _grown(self, event: events.Grown) -> list[Effect]:
        """Take up what expanding tasks have returned."""
        records = self.records.of
        needs = {node: self._missing(ups) for node, ups in event.needs.items()}
        expanded = {node: self._missing(returned) for node, returned in event.expanded.items()}
        self.records.add({**needs, **{node: () for node in expanded if node not in records}})
        self._link(needs)
        self._doubtful.update(event.doubtful)
        self._expand(expanded)
        for node, ups in needs.items():
            if not ups and not self.stopping:
                self._begin(node)
        self._done([node for node, returned in expanded.items() if not returned])
        return [event.finish]

    def _missing(self, nodes: Sequence[int]) -> list[int]:
        """Give those nodes that have no result to give yet; the plan may not know of the last ones that have."""
        records = self.records.of
        return [node for node in nodes if node not in records or records[node].state is not DONE]

    def _link(self, upstreams: Mapping[int, Sequence[int]]) -> None:
        for node, ups in upstreams.items():
            for upstream in ups:
                self._downstream.setdefault(upstream, []).append(node)

    def _expand(self, expanded: Mapping[int, Sequence[int]]) -> None:
        for node, returned in expanded.items():
            self.records.expand(node, returned)
        self._link(expanded)

    def _done(self, nodes: Iterable[int]) -> None:
        """Note that tasks have results to give, and queue what waited for these alone."""
        records = self.records.of
        done = list(nodes)
        for node in done:  # which grows
            if records[node].state in HOLDING:
                self._leave_limits(node)
            elif records[node].state is EXPANDED:
                self._joined.append(node)
            self.records.move(node, DONE)
            for down in self._downstream.get(node, ()):
                record = records[down]
                record.needs -= 1
                if not record.needs and record.state is EXPANDED:
                    done.append(down)
                elif not record.needs and record.state is WAITING and not self.stopping:
                    self._begin(down)

    def _begin(self, node: int) -> None:
        """Let a task begin whose upstreams are done; or look first whether it need not run."""
        if node in self._doubtful:
            self.records.move(node, RECHECKED)
            self._rechecked.append(node)
        else:
            self._queue(node)

    def _fail(self, node: int, cause: BaseException) -> list[Effect]:
        record = self.records.of[node]
        nonce = record.job.nonce if record.job else ""
        if record.state in HOLDING:
            self._leave_limits(node)
        self.records.move(node, FAILED)
        effects: list[Effect] = [events.Fail(node, cause, nonce)]
        if nonce:
            effects.append(events.Release([node]))
        if self._stop_on_failure and not self.stopping:
            self._stop()
            effects += _take_back(self.records)
        return effects

    def _stop(self) -> list[Effect]:
        """Let nothing new start, and let go of what has no attempt."""
        self.stopping = True
        self._limits.forget_waiting()
        for node, record in self.records.of.items():
            if record.state is QUEUED:
                self._leave_limits(node)
            if record.state in (QUEUED, LIMITED, ELSEWHERE):
                self.records.move(node, DROPPED)
        self._placed.clear()
        self._limited.clear()
        return []

    def _leave_limits(self, node: int) -> None:
        """Give a task's places in the rate limits to those that wait for them."""
        for admitted in self._limits.leave(self._labels(node)):
            self.records.move(admitted, QUEUED)
            self._placed.append(admitted)

    def validate(self) -> None:
        """Check that all that is written down agrees; for tests, since it looks at every task.

        Raises:
            AssertionError: It does not.
        """
        self.records.validate(self._labels, self._limits, self._begun and not self.stopping)


def _take_back(records: Records) -> list[Effect]:
    """Have those attempts ended that have not started."""
    jobs: dict[str, list[Job]] = {}
    for record in records.out():
        if record.state is SUBMITTED and record.job is not None:
            jobs.setdefault(record.lane, []).append(record.job)
    return [events.TakeBack(lane, of_lane) for lane, of_lane in jobs.items()]
