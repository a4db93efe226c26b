"""One run's belongings: opened together, put to work, and closed again, whatever happens in between."""
from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Literal

from ..base.errors import SettingsError
from ..base.limits import Limits
from ..contract.plugins import Listeners, Plugins
from ..plan.graph import Plan
from ..plugin import RunInfo, RunReport
from ..runs.adoption import Orphans
from ..runs.aftermath import forget_old_runs, tidy_up
from ..runs.claims import Claims, Standing
from ..runs.ledger import Ledger, RunDirectory
from ..runs.outline import write_outline
from ..runs.waits import Waits
from ..store.cache import Cache
from ..tasks.settings import Settings, usable_cpus
from ..work import nested
from ..work.handover import forget_context, note_own_context, write_context
from ..work.setup import describe
from ..work.texts import write_texts
from .account import Account
from .assembly import assemble
from .caller import Inbox
from .choice import BackendChoice
from .chronicle import Chronicle
from .judge import Judge
from .lanes import Lanes
from .loop import Loop
from .packing import Packer
from .payloads import Payloads, texts_of
from .places import Places
from .request import RunRequest
from .seats import Seats
from .signals import terminable, uninterrupted

if TYPE_CHECKING:
    from .request import Watcher

_LOGGER = logging.getLogger(__name__)


class Session:
    """One run, from its directory to its report.

    Args:
        plan: What must run.
        request: What was said about the run.
        settings: The settings in force.
        cache: Where results lie.
        before: How the table of claims stood before the plan was made.
    """

    def __init__(self, plan: Plan, request: RunRequest, settings: Settings, cache: Cache, before: Standing) -> None:
        self._plan = plan
        self._root = plan.graph.tasks[plan.graph.root]
        self._request = request
        self._settings = settings
        self._cache = cache
        self._before = before
        self._max_workers = _checked_workers(request.max_workers) or settings.max_workers or usable_cpus()
        self._plugins = Plugins([*settings.plugins, *request.plugins], profiles=settings.profiles)
        overall = "executor" if request.executor is not None else request.backend
        options = {"pool": request.executor} if request.executor is not None else request.backend_options
        self._choice = BackendChoice(settings, overall, request.specific, options)
        self._limits = Limits({**settings.limits, **request.rate_limits})
        self._orphans = Orphans(cache.runs)
        self._loop: Loop | None = None
        self._account: Account | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Session:
        with ExitStack() as stack:
            self._open(stack)
            self._open_until = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with uninterrupted():
            self._open_until.close()

    def _open(self, stack: ExitStack) -> None:
        """Make what a run has on disk; the stack takes it apart again, whatever fails on the way."""
        fsync, ancestors = self._settings.fsync, nested.ancestors()
        self._run = RunDirectory(self._cache.runs, repr(self._root), nested=bool(ancestors))
        # The directory goes first: while the table names this run, the next one sees to what a kill leaves there.
        closing_run = stack.enter_context(ExitStack())
        stack.callback(lambda: self._run.close(self._leaves_jobs))
        setup = describe(self._settings.worker_setup)
        write_context(self._run.context, os.path.dirname(self._cache.root), self._run.run, fsync, setup, ancestors)
        note_own_context(self._run.context, fsync, setup, ancestors)
        write_texts(self._run.path, texts_of(self._plan.graph.read), self._plan.graph.read.texts)
        closing_run.callback(forget_context, self._run.context)
        self._ledger = Ledger(f"{self._run.path}/ledger.jsonl")
        closing_run.callback(self._ledger.close)
        self._claims = Claims(self._cache.runs, self._run.run, self._before)
        closing_run.callback(lambda: self._claims.close(self._leaves_jobs))
        self._waits = None
        if ancestors:
            self._waits = Waits(self._cache.runs, self._run.run, [bytes.fromhex(digest) for digest in ancestors])
            closing_run.callback(self._waits.forget)
        for known in self._plan.graph.classes.values():
            known.store.packed.fsync = fsync

    @property
    def _leaves_jobs(self) -> bool:
        """Whether jobs live on that a later run may find."""
        return self._loop is not None and self._loop.left_alive

    def drive(self, given_up: Mapping[int, BaseException]) -> tuple[Account, list[int]]:
        """Run the plan; an interrupt ends or leaves what runs, and goes on up.

        Args:
            given_up: Nodes that failed in an earlier round of this run, with the causes.

        Returns:
            What the run has come to, and the nodes that met damaged results.
        """
        seats = Seats(self._plan, lambda known: (known.config.store or self._settings.store) == "packed")
        places = Places(self._plan.graph, self._plugins, self._choice)
        packer = Packer(self._run.path)
        nodes_of = self._plan.graph.by_class(self._plan.stale)
        places.check(nodes[0] for nodes in nodes_of.values())
        packer.register(self._plan.graph.classes, self._plan.graph.read.beside)
        seats.allot()
        write_outline(self._run.path, self._plan, seats.ids, self._limits.caps)
        tidy_up(self._claims, self._orphans, self._cache)
        self._warn_of_unmatched()
        payloads = Payloads(self._plan, seats, packer, self._run.context)
        with self._watched() as watchers:
            chronicle = Chronicle(self._ledger, self._plan.graph, seats.ids, watchers)
            account = self._account = Account(
                self._plan, seats, payloads, chronicle, list_generations=self._request.dump_generations
            )
            judge = self._run_to_the_end(seats, places, packer, payloads, chronicle, account, given_up)
        tidy_up(self._claims, self._orphans, self._cache)
        forget_old_runs(self._claims, self._cache, self._settings.keep_runs)
        return account, judge.damaged

    def _run_to_the_end(
        self,
        seats: Seats,
        places: Places,
        packer: Packer,
        payloads: Payloads,
        chronicle: Chronicle,
        account: Account,
        given_up: Mapping[int, BaseException],
    ) -> Judge:
        inbox, ending = Inbox(), threading.Event()
        lanes = Lanes(self._run.path, self._ledger, inbox, self._max_workers)
        loop, judge = assemble(
            self._plan,
            self._request,
            self._limits,
            self._claims,
            self._waits,
            self._orphans,
            self._ledger,
            self._run.path,
            seats,
            places,
            packer,
            payloads,
            lanes,
            chronicle,
            account,
            inbox,
            ending,
        )
        self._loop = loop
        with lanes.supervised():
            try:
                with terminable(ending):
                    loop.run(given_up)
            except BaseException:
                loop.interrupt(self._request.detach)
                raise
            loop.close()
        return judge

    @contextmanager
    def _watched(self) -> Iterator[list[Watcher]]:
        """Tell listeners of the run's start and end, and give all that want to know what happens between."""
        listeners = self._plugins.listeners()
        planned = self._plan.counts(self._plan.stale)
        fresh = [node for node, reason in enumerate(self._plan.reasons) if not reason]
        run = RunInfo(self._run.run, repr(self._root), self._plan.counts(fresh), planned)
        file = getattr(sys.modules.get(type(self._root).__module__), "__file__", None)
        entry = {"kind": "run", "time": time.time(), "file": file, "cached": run.cached, "planned": run.planned}
        self._ledger.write(entry)
        with ExitStack() as stack:
            watchers = list(self._request.watchers)
            if listeners:
                listeners.run_started(run)
                watchers.append(partial(listeners.events, run))
            if self._request.progress is not None:
                watchers.append(stack.enter_context(self._request.progress(planned)))
            try:
                yield watchers
            except BaseException:
                self._report(run, listeners, "interrupted")
                raise
        self._report(run, listeners, "failed" if self._account and self._account.failures else "done")

    def _report(self, run: RunInfo, listeners: Listeners, status: Literal["done", "failed", "interrupted"]) -> None:
        """Tell how the run ended, in the ledger and to listeners."""
        done = self._account.ran if self._account else {}
        failed: dict[str, int] = {}
        for failure in self._account.failures.values() if self._account else ():
            failed[failure.task.task_name] = failed.get(failure.task.task_name, 0) + 1
        report = RunReport(run.run, status, time.monotonic() - self._started, done, failed)
        grown = self._grown() if self._plan.growth is not None else {}
        self._ledger.write({"kind": "end", "time": time.time(), **asdict(report), **grown})
        listeners.run_finished(run, report)

    def _grown(self) -> dict[str, dict[str, int]]:
        """Count the run's tasks as they are at its end, those that were added included."""
        stale = set(self._plan.stale)
        cached = [node for node in range(len(self._plan.graph)) if node not in stale]
        return {"planned": self._plan.counts(stale), "cached": self._plan.counts(cached)}

    def _warn_of_unmatched(self) -> None:
        """Warn of a backend that was given for a task name or a channel that no task has."""
        if self._request.specific:
            for known in self._plan.graph.classes.values():
                self._choice.choose(known.config.name, known.config.channels, known.config.backend, {})
            for name in self._choice.unmatched if self._plan.growth is None else ():  # it may be of what is to come
                _LOGGER.warning("a backend was given for %r, which is no task and no channel of this graph", name)


def _checked_workers(number: int | None) -> int | None:
    if number is not None and number < 1:
        msg = f"max_workers={number!r} is not a whole number from 1"
        raise SettingsError(msg)
    return number
