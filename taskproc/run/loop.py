"""The event loop of a run: tells the board what has happened, and carries out what the board answers.

It runs in the thread that called `run_graph`, which blocks on one queue with deadlines. Backends work in threads of
their own, and only report.
"""
from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Mapping

from ..base.errors import BackendError
from ..base.outcome import Outcome
from ..plan.graph import TaskGraph
from ..plugin import Job
from ..runs.adoption import is_filed, take_back, withdraw
from ..runs.claims import Claims
from ..work.execute import execute
from . import events
from .caller import Inbox, Message
from .chronicle import Chronicle
from .conductor import Conductor
from .dispatch import Dispatch
from .elsewhere import Elsewhere
from .judge import Judge
from .lanes import Lanes
from .records import QUEUED
from .results import Results
from .takeover import Takeover

_LOGGER = logging.getLogger(__name__)

_TIDY = 0.1  # seconds between releases of claims, flushes of the ledger and calls to listeners
_FEW_ATTEMPTS = 16  # with fewer under way, somebody may be waiting for what is yet to be kept


class Loop:
    """Runs a board to its end.

    Args:
        graph: The run's graph.
        conductor: Tells the board of events.
        dispatch: Hands over what is ready.
        judge: Judges attempts that have ended.
        results: Keeps results.
        claims: The claims of all runs.
        elsewhere: Watches what other runs have.
        takeover: Sees to the attempts of dead runs.
        lanes: The run's backends.
        chronicle: Learns what happens.
        inbox: Where backends report.
        asked_to_end: Set when somebody has asked for the run's end, though a task may have kept it from being heard.
    """

    def __init__(
        self,
        graph: TaskGraph,
        conductor: Conductor,
        dispatch: Dispatch,
        judge: Judge,
        results: Results,
        claims: Claims,
        elsewhere: Elsewhere,
        takeover: Takeover,
        lanes: Lanes,
        chronicle: Chronicle,
        inbox: Inbox,
        asked_to_end: threading.Event,
    ) -> None:
        self._graph = graph
        self._take = conductor.take
        self._board = conductor.board
        self._records = conductor.board.records
        self._dispatch = dispatch
        self._judge = judge
        self._results = results
        self._claims = claims
        self._elsewhere = elsewhere
        self._takeover = takeover
        self._lanes = lanes
        self._chronicle = chronicle
        self._inbox = inbox
        self._asked_to_end = asked_to_end
        self._tidied = 0.0
        conductor.on(events.Limit, lambda effect: chronicle.limited(effect.nodes))
        conductor.on(events.Watch, self._watch)
        conductor.on(events.Submit, self._submit)
        conductor.on(events.Withdraw, lambda effect: withdraw(str(effect.job.directory), effect.job.nonce))
        conductor.on(events.TakeBack, lambda effect: lanes[effect.lane].take_back(effect.jobs))
        conductor.on(events.Release, lambda effect: claims.give_back(map(graph.digest, effect.nodes)))

    def run(self, given_up: Mapping[int, BaseException]) -> None:
        """Run until all is done, or nothing more can be.

        Args:
            given_up: Nodes that failed in an earlier round of this run, with the causes.
        """
        try:
            self._adopt_first()
            self._take(events.Opened(given_up))
            while self._records.active:
                self._dispatch.hand_over()
                if self._dispatch.interactive and not self._board.stopping:
                    self._run_interactive(self._dispatch.interactive.popleft())
                elif self._records.active:
                    self._receive(self._pause(self._dispatch.due()))
                due = self._results.due
                if due is not None and (time.monotonic() >= due or len(self._records.attempts) < _FEW_ATTEMPTS):
                    self._keep()
                self._tidy()
        finally:
            self._keep()
            self._tidy(at_once=True)

    def interrupt(self, detach: bool) -> None:
        """Stop everything at once: end what runs, or leave what can live on to the next run."""
        try:
            self._take(events.Stopped())
        finally:  # whatever else cannot be carried out, on a full disk say
            jobs: dict[str, list[Job]] = {}
            for record in self._records.out():
                if record.lane and record.job is not None:
                    jobs.setdefault(record.lane, []).append(record.job)
            self._lanes.cancel(jobs, detach)
            self._lanes.close(detach)
        self._lanes.wait_until_closed(self._receive)
        self._keep()
        self._tidy(at_once=True)

    def close(self) -> None:
        """Close the backends, whose jobs have all ended."""
        self._lanes.close()
        self._lanes.wait_until_closed(self._receive)

    @property
    def left_alive(self) -> bool:
        """Whether jobs are left that a later run may find."""
        return any(record.lane and self._lanes[record.lane].capabilities.durable for record in self._records.out())

    def _adopt_first(self) -> None:
        """See to what dead runs had begun before anything else starts: their jobs count in the rate limits."""
        node_of = self._graph.node_of
        dead = {node_of[digest]: run for digest, run in self._elsewhere.of_dead_runs().items() if digest in node_of}
        records = self._records.of
        ready = {node: run for node, run in dead.items() if node in records and not records[node].needs}
        self._takeover.dismiss({node: run for node, run in dead.items() if node not in ready})
        if ready:
            self._take(events.Held(ready))
            self._look_elsewhere()

    # --- waiting ---

    def _pause(self, dispatch_due: float | None) -> float | None:
        """Seconds until something must be done, even if nobody reports; None for no such thing."""
        due = [dispatch_due, self._results.due]
        if self._records.elsewhere:
            due.append(self._elsewhere.due)
        if self._records.unseen:
            due.append(self._judge.due)
        if self._claims.giving_back or self._chronicle.pending:
            due.append(self._tidied + _TIDY)
        times = [at for at in due if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _receive(self, pause: float | None) -> None:
        """Wait for reports, take in all that have come, and look at what is due."""
        try:
            message = self._inbox.get(timeout=pause) if pause != 0.0 else self._inbox.get_nowait()
            while True:
                self._take_in(message)
                message = self._inbox.get_nowait()
        except queue.Empty:
            pass
        now = time.monotonic()
        if self._records.elsewhere and now >= self._elsewhere.due:
            self._look_elsewhere()
        if self._records.unseen and now >= self._judge.due:
            self._judge.look_again()

    def _take_in(self, message: Message) -> None:
        if message.kind == "closed":
            self._lane_ended(message.name, message.content)
            return
        node = self._records.attempts.get(message.name)
        if node is None:
            return
        record = self._records.of[node]
        if message.kind == "finished":
            self._judge.settle(node, message.name, message.content)
        elif message.kind == "started":
            host, pid = message.content
            self._board.take(events.Started(message.name))  # to which there is nothing to do
            self._chronicle.started(node, message.name, record.lane, {"host": host, "pid": pid})
        elif message.kind == "never taken":
            self._never_taken(node, message.name)
        elif message.kind == "waiting":
            self._chronicle.tell("waiting", node, message.name, record.lane, {"reason": message.content})

    def _look_elsewhere(self) -> None:
        """Go on with what other runs had: done by them, free again, or left by a dead one."""
        adopted: dict[str, dict[int, Job]] = {}
        seen = self._elsewhere.look(list(self._records.elsewhere))
        self._take(*seen)
        for event in seen:
            if isinstance(event, events.Adopted):
                adopted.setdefault(event.lane, {})[event.node] = event.job
        for name, jobs in adopted.items():
            self._chronicle.submitted(jobs, name, self._lanes[name].capabilities.durable)
            self._lanes[name].follow(list(jobs.values()))

    def _watch(self, effect: events.Watch) -> None:
        self._elsewhere.watch()
        for node, run in effect.runs.items():
            self._chronicle.elsewhere(node, run)

    def _submit(self, effect: events.Submit) -> None:
        lane = self._lanes[effect.lane]
        self._chronicle.submitted(effect.jobs, lane.name, lane.capabilities.durable)
        lane.submit(effect.jobs.values())

    # --- the end of an attempt ---

    def _never_taken(self, node: int, nonce: str) -> None:
        """Submit anew what the scheduler never had; one that started all the same is looked for again."""
        job, lane = self._records.of[node].job, self._records.of[node].lane
        assert job is not None
        directory = str(job.directory)
        if take_back(directory, nonce) or not is_filed(directory, nonce):
            self._judge.settle(node, nonce, Outcome("lost", "its submission did not reach the scheduler"))
        else:
            self._lanes[lane].follow([job])

    def _lane_ended(self, name: str, reason: str | None) -> None:
        """See to what a backend had when it ended by itself, or a thread of it did."""
        if self._lanes.closing:
            return
        error = BackendError(f"the backend {name} broke: {reason or 'its thread ended'}")
        _LOGGER.error("%s", error)
        for node in self._lanes.give_up(name, error):
            if self._records.of[node].state is QUEUED:
                self._take(events.Impossible(node, error))
        jobs = [record.job for record in self._records.out() if record.lane == name and record.job is not None]
        self._lanes[name].cancel(jobs)
        for job in jobs:
            if (node := self._records.attempts.get(job.nonce, -1)) >= 0:
                self._judge.settle(node, job.nonce, Outcome("rejected", str(error)))

    # --- now and then ---

    def _keep(self) -> None:
        """Keep the small results that were handed back; only then do they count."""
        kept = self._results.keep()
        if kept:
            self._take(events.Kept(kept))

    def _tidy(self, at_once: bool = False) -> None:
        """Give claims back, write the ledger out, and tell those who watch."""
        if at_once or time.monotonic() >= self._tidied + _TIDY:
            self._tidied = time.monotonic()
            self._claims.flush()
            self._chronicle.flush()

    # --- interactive tasks ---

    def _run_interactive(self, node: int) -> None:
        """Run a task here, with the real terminal; what the backends report meanwhile waits in the queue.

        Raises:
            KeyboardInterrupt: It was interrupted, or somebody has asked for the run's end meanwhile.
        """
        self._dispatch.claim("", {node: None})
        job = self._records.of[node].job
        if job is None:
            return
        self._chronicle.started(node, job.nonce, "interactive", {"host": socket.gethostname(), "pid": os.getpid()})
        self._tidy(at_once=True)  # who draws on the terminal must leave it to the task
        try:
            outcome = execute(job.payload(), "none", self._await_others)
        except Exception as error:
            outcome = Outcome.of_error("rejected", error)
        interrupted = isinstance(self._judge.cause(node, job.nonce, outcome), KeyboardInterrupt)
        if interrupted or self._asked_to_end.is_set():
            self._take(events.Stopped())
        self._judge.settle(node, job.nonce, outcome)
        if interrupted or self._asked_to_end.is_set():
            raise KeyboardInterrupt

    def _await_others(self) -> None:
        """Let all that runs end, before an interactive task runs a graph of its own that may want its results."""
        while any(record.lane for record in self._records.out()):
            self._receive(self._pause(None))
        self._keep()
        self._claims.flush()
