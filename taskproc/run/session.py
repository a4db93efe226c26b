"""One run's belongings, put together and taken apart again: its directory, its claims, its backends, its driver."""
from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from ..base.errors import SettingsError
from ..base.limits import Limits
from ..contract.plugins import Listeners, Plugins
from ..plan.graph import Plan
from ..plugin import BackendContext, RunInfo, RunReport
from ..runs.adoption import Orphans
from ..runs.aftermath import forget_old_runs, tidy_up
from ..runs.claims import Claims
from ..runs.ledger import Ledger, RunDirectory
from ..runs.outline import write_outline
from ..runs.staging import StagedSets
from ..store.cache import Cache
from ..tasks.settings import Context, Settings, usable_cpus
from ..work import worker
from ..work.command import serve_command
from ..work.handover import forget_context, note_own_context, write_context
from .choice import BackendChoice
from .chronicle import Chronicle
from .driver import Driver
from .elsewhere import Elsewhere
from .jobs import JobMaker, Place
from .packing import Packer
from .request import RunRequest
from .runner import DriverReports, Inbox, Runner

if TYPE_CHECKING:
    from .request import Watcher

_LOGGER = logging.getLogger(__name__)


class Session:
    """One run's belongings, from its directory to its backends, for as long as it lasts."""

    def __init__(self, plan: Plan, request: RunRequest, settings: Settings, cache: Cache) -> None:
        self._plan = plan
        self._request = request
        self._settings = settings
        self._cache = cache
        self._max_workers = _checked_workers(request.max_workers) or settings.max_workers or usable_cpus()
        self._plugins = Plugins([*settings.plugins, *request.plugins], profiles=settings.profiles)
        overall = "executor" if request.executor is not None else request.backend
        options = {"pool": request.executor} if request.executor is not None else request.backend_options
        self._choice = BackendChoice(settings, overall, request.specific, options)
        self._limits = Limits({**settings.limits, **request.rate_limits})
        self._runners: dict[str, Runner] = {}
        self._orphans = Orphans(cache.runs)
        self._inbox: Inbox = Inbox()
        self._driver: Driver | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Session:
        with ExitStack() as stack:
            self._open(stack)
            self._open_until = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open_until.close()

    def _open(self, stack: ExitStack) -> None:
        """Make what a run has on disk; the stack takes it apart again, whatever fails on the way."""
        fsync, ancestors = self._settings.fsync, worker.ancestors()
        self._run = RunDirectory(self._cache.runs, repr(self._plan.graph.tasks[-1]), nested=bool(ancestors))
        # The directory goes first: while the table names this run, the next one sees to what a kill leaves there.
        closing_run = stack.enter_context(ExitStack())
        stack.callback(lambda: self._run.close(self._keep))
        write_context(self._run.context, os.path.dirname(self._cache.root), self._run.run, fsync, ancestors)
        note_own_context(self._run.context, fsync, ancestors)
        closing_run.callback(forget_context, self._run.context)
        self._ledger = Ledger(f"{self._run.path}/ledger.jsonl")
        closing_run.callback(self._ledger.close)
        self._claims = Claims(self._cache.runs, self._run.run)
        closing_run.callback(lambda: self._claims.close(self._keep))
        for known in self._plan.graph.classes.values():
            known.store.packed.fsync = fsync

    @property
    def _keep(self) -> bool:
        """Whether jobs live on that a later run may find."""
        return self._driver is not None and self._driver.left_alive

    def drive(self, last_number: int) -> Driver:
        """Run the plan; an interrupt ends or leaves what runs, and goes on up.

        Args:
            last_number: The number of the newest run before the plan was made.
        """
        packer = Packer(self._run.path)
        packed = self._packed_classes()
        jobs = JobMaker(self._plan, packer, self._plugins, self._choice, self._run.context, packed)
        jobs.prepare()
        write_outline(self._run.path, self._plan, jobs.ids, self._limits.caps)
        tidy_up(self._claims, self._orphans, self._cache)
        self._warn_of_unmatched()
        with self._watched() as watchers:
            driver = self._driver = Driver(
                self._plan,
                jobs,
                self._claims,
                Chronicle(self._ledger, self._plan.graph, jobs.ids, watchers),
                self._limits,
                self._runner_of,
                self._inbox,
                on_error=self._request.on_error,
                all_interactive=self._request.force_interactive or Context.interactive,
                elsewhere=Elsewhere(self._claims, self._orphans),
                last_number=last_number,
            )
            if self._request.dump_generations:
                driver.generations = []
            self._run_to_the_end(driver)
        tidy_up(self._claims, self._orphans, self._cache)
        forget_old_runs(self._claims, self._cache, self._settings.keep_runs)
        return driver

    def _run_to_the_end(self, driver: Driver) -> None:
        try:
            with _terminable():
                driver.run()
        except BaseException:
            driver.interrupt(self._request.detach)
            raise
        driver.close()

    @contextmanager
    def _watched(self) -> Iterator[list[Watcher]]:
        """Tell listeners of the run's start and end, and give all that want to know what happens between."""
        listeners = self._plugins.listeners()
        planned = self._plan.counts(self._plan.stale)
        fresh = [node for node, reason in enumerate(self._plan.reasons) if not reason]
        run = RunInfo(self._run.run, repr(self._plan.graph.tasks[-1]), self._plan.counts(fresh), planned)
        file = getattr(sys.modules.get(type(self._plan.graph.tasks[-1]).__module__), "__file__", None)
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
        self._report(run, listeners, "failed" if self._driver and self._driver.failures else "done")

    def _report(self, run: RunInfo, listeners: Listeners, status: Literal["done", "failed", "interrupted"]) -> None:
        """Tell how the run ended, in the ledger and to listeners."""
        done = self._driver.ran if self._driver else {}
        failed: dict[str, int] = {}
        for failure in self._driver.failures if self._driver else []:
            failed[failure.task.task_name] = failed.get(failure.task.task_name, 0) + 1
        report = RunReport(run.run, status, time.monotonic() - self._started, done, failed)
        self._ledger.write({"kind": "end", "time": time.time(), **asdict(report)})
        listeners.run_finished(run, report)

    def _warn_of_unmatched(self) -> None:
        """Warn of a backend that was given for a task name or a channel that no task has."""
        if self._request.specific:
            for known in self._plan.graph.classes.values():
                self._choice.choose(known.config.name, known.config.channels, known.config.backend, {})
            for name in self._choice.unmatched:
                _LOGGER.warning("a backend was given for %r, which is no task and no channel of this graph", name)

    def _packed_classes(self) -> set[type]:
        return {
            cls
            for cls, known in self._plan.graph.classes.items()
            if (known.config.store or self._settings.store) == "packed"
        }

    def _runner_of(self, place: Place) -> Runner:
        runner = self._runners.get(place.plugin.name)
        if runner is None:
            runner = self._runners[place.plugin.name] = self._start(place)
        return runner

    def _start(self, place: Place) -> Runner:
        """Make a backend, when its first job is ready."""
        plugin = place.plugin
        assert plugin.factory is not None
        directory = f"{self._run.path}/{plugin.name}"
        reports = DriverReports(self._inbox, self._ledger)
        staging = StagedSets(directory, self._ledger, plugin.name)
        context = BackendContext(
            options=place.options,
            max_workers=self._max_workers,
            directory=Path(directory),
            report=reports,
            staging=staging,
            serve=serve_command(self._run.path),
        )
        backend = plugin.factory(context)
        reports.durable = staging.durable = backend.capabilities.durable
        return Runner(plugin, backend, reports, staging, self._inbox)


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as an interrupt, where signals can be handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise KeyboardInterrupt("terminated")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork of ours, which has nothing to put in order
        os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _checked_workers(number: int | None) -> int | None:
    if number is not None and number < 1:
        msg = f"max_workers={number!r} is not a whole number from 1"
        raise SettingsError(msg)
    return number
