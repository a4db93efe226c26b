"""`run_graph`: from a task to its result, with everything in between put together here."""
from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import claims as claims_module
from . import worker
from .adoption import Orphans
from .claims import Claims
from .driver import Driver, OnError, check_on_error
from .errors import CacheError, FailedTasksError, SettingsError, TaskprocError
from .graph import Plan, TaskGraph
from .handover import Packer, forget_context, note_own_context, write_context
from .jobs import JobMaker, Place
from .ledger import Ledger, RunDirectory
from .limits import Limits
from .plugin import BackendContext, Event
from .runner import DriverReports, Inbox, Runner
from .store import Cache, current_cache
from .store.files import DamagedResultError

if TYPE_CHECKING:
    from .plugins import Plugins
    from .settings import BackendChoice, Settings
    from .task import TaskBase

_LOGGER = logging.getLogger(__name__)
_MOST_REPAIRS = 3

Watcher = Callable[[Sequence[Event]], None]


@dataclass(frozen=True)
class RunRequest:
    """Everything that may be said about one run; `run_graph` and the command fill it in.

    Attributes:
        executor: A pool to run tasks in.
        max_workers: How many tasks run at once on this machine.
        rate_limits: The most tasks at once, per channel or task name.
        detect_source_change: Whether changed code makes results stale; None: as the settings say.
        backend: The backend or profile for every task.
        specific: Backends or profiles for single task names or channels.
        backend_options: Options for `backend`.
        on_error: `stop` or `continue`.
        force_interactive: Whether to run all tasks in this thread.
        force: Whether to run the task asked for even if it is cached.
        show_progress: Whether to show a bar per task class.
        detach: Whether an interrupt leaves jobs on a cluster alone.
        dump_generations: Whether to list what is left at each step.
        plugins: Further plugins: modules or files.
        watchers: Called with what happened, a few times a second.
    """

    executor: Executor | None = None
    max_workers: int | None = None
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    detect_source_change: bool | None = None
    backend: str | None = None
    specific: Mapping[str, str] = field(default_factory=dict)
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    on_error: OnError = "stop"
    force_interactive: bool = False
    force: bool = False
    show_progress: bool = False
    detach: bool = False
    dump_generations: bool = False
    plugins: Sequence[str] = ()
    watchers: Sequence[Watcher] = ()


def run_graph(
    task: TaskBase[Any],
    *,
    rate_limits: Mapping[str, int] | None,
    backend_options: Mapping[str, Any] | None,
    on_error: str,
    **others: Any,
) -> tuple[Any, dict[str, Any]]:
    """Run a task's graph as `TaskBase.run_graph_with_stats` describes."""
    request = RunRequest(
        rate_limits=rate_limits or {},
        backend_options=backend_options or {},
        on_error=check_on_error(on_error),
        **others,
    )
    return run(task, request)


def run(task: TaskBase[Any], request: RunRequest) -> tuple[Any, dict[str, Any]]:
    """Run what is not cached, and give the task's result with an account of what ran.

    A result that turns out to be damaged is dropped and computed again.

    Raises:
        FailedTaskError: A task failed.
    """
    _tell_of_nesting()
    stats: dict[str, Any] = {"stats": {}, "generations": []}
    for _ in range(_MOST_REPAIRS):
        repaired = _run_once(task, request, stats)
        if repaired:
            continue
        try:
            return task.get_task_result(), stats
        except DamagedResultError as error:
            _LOGGER.warning("%s; it is computed again", error)
            _store_of(task).discard_result(task._task.digest)
    msg = f"{task!r} has a damaged result again and again; is the disk all right?"
    raise CacheError(msg)


def make_plan(task: TaskBase[Any], request: RunRequest, settings: Settings, cache: Cache) -> Plan:
    """Find out what a run would do, without doing it."""
    detect = settings.detect_source_change if request.detect_source_change is None else request.detect_source_change
    graph = TaskGraph(task, cache)
    return Plan(graph, detect_source_change=detect, forced=[len(graph) - 1] if request.force else [])


def _run_once(task: TaskBase[Any], request: RunRequest, stats: dict[str, Any]) -> bool:
    """Run the graph once; whether damaged results were found and dropped, so that it must be run again."""
    from .settings import load_settings

    cache = current_cache()
    settings = load_settings(None)
    last_number = claims_module.last_number(cache.runs)
    plan = make_plan(task, request, settings, cache)
    if not plan.stale:
        return False
    with _Session(plan, request, settings, cache) as session:
        driver = session.drive(last_number)
    for name, number in driver.ran.items():
        stats["stats"][name] = stats["stats"].get(name, 0) + number
    stats["generations"] += driver.generations or []
    if driver.damaged:
        return _drop_damaged(plan)
    if len(driver.failures) == 1:
        raise driver.failures[0] from driver.failures[0].exception
    if driver.failures:
        raise FailedTasksError(driver.failures) from driver.failures[0].exception
    return False


class _Session:
    """One run's belongings, from its directory to its backends, for as long as it lasts."""

    def __init__(self, plan: Plan, request: RunRequest, settings: Settings, cache: Cache) -> None:
        from .plugins import Plugins
        from .settings import BackendChoice, usable_cpus

        self._plan = plan
        self._request = request
        self._settings = settings
        self._cache = cache
        self._max_workers = _checked_workers(request.max_workers) or settings.max_workers or usable_cpus()
        self._plugins: Plugins = Plugins([*settings.plugins, *request.plugins])
        overall = "executor" if request.executor is not None else request.backend
        options = {"pool": request.executor} if request.executor is not None else request.backend_options
        self._choice: BackendChoice = BackendChoice(settings, overall, request.specific, options)
        self._limits = Limits({**settings.limits, **request.rate_limits})
        self._runners: dict[str, Runner] = {}
        self._inbox: Inbox = Inbox()
        self._driver: Driver | None = None

    def __enter__(self) -> _Session:
        try:
            self._run = RunDirectory(self._cache.runs, repr(self._plan.graph.tasks[-1]))
        except OSError as error:
            msg = f"the cache {self._cache.root} cannot be written to: {error.strerror}"
            raise CacheError(msg) from error
        write_context(self._run.context, os.path.dirname(self._cache.root), self._run.run, self._settings.fsync)
        note_own_context(self._run.context, self._settings.fsync)
        self._ledger = Ledger(f"{self._run.path}/ledger.jsonl")
        self._claims = Claims(self._cache.runs, self._run.run)
        return self

    def __exit__(self, *error: object) -> None:
        keep = self._driver is not None and self._driver.left_alive
        self._claims.close(keep)
        self._ledger.close()
        self._run.close(keep)
        forget_context(self._run.context)

    def drive(self, last_number: int) -> Driver:
        """Run the plan; an interrupt ends or leaves what runs, and goes on up."""
        jobs = JobMaker(
            self._plan, Packer(self._run.path), self._plugins, self._choice, self._run.context, self._packed_classes()
        )
        jobs.prepare()
        self._claims.forget_dead_runs()
        with self._watchers() as watchers:
            driver = self._driver = Driver(
                self._plan,
                jobs,
                self._claims,
                self._ledger,
                self._limits,
                self._runner_of,
                self._inbox,
                on_error=self._request.on_error,
                all_interactive=self._request.force_interactive,
                orphans=Orphans(self._cache.runs),
                watchers=watchers,
                last_number=last_number,
            )
            if self._request.dump_generations:
                driver.generations = []
            try:
                with _terminable():
                    driver.run()
            except BaseException:
                driver.interrupt(self._request.detach)
                raise
            driver.close()
        return driver

    @contextmanager
    def _watchers(self) -> Iterator[list[Watcher]]:
        watchers = list(self._request.watchers)
        if not self._request.show_progress:
            yield watchers
            return
        from .progress import Progress

        with Progress(self._plan.counts(self._plan.stale)) as progress:
            yield [*watchers, progress]

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
        from .serve import serve_command
        from .staging import StagedSets

        plugin = place.plugin
        assert plugin.factory is not None
        directory = f"{self._run.path}/{plugin.name}"
        reports = DriverReports(self._inbox, self._ledger)
        staging = StagedSets(directory, self._ledger, plugin.name)
        context = BackendContext(
            options=place.options,
            max_workers=self._max_workers,
            directory=_path(directory),
            report=reports,
            staging=staging,
            serve=serve_command(self._run.path),
        )
        backend = plugin.factory(context)
        reports.durable = backend.capabilities.durable
        return Runner(plugin, backend, reports, staging, self._inbox)


def _drop_damaged(plan: Plan) -> bool:
    """Check every result of the graph as a whole, and drop those that are damaged."""
    for node in range(len(plan.graph)):
        known = plan.graph.class_of(node)
        try:
            known.store.load(plan.graph.digest(node), repr(plan.graph.tasks[node]))
        except DamagedResultError as error:
            _LOGGER.warning("%s; it is computed again", error)
            known.store.discard_result(plan.graph.digest(node))
        except TaskprocError:
            continue
    return True


def _tell_of_nesting() -> None:
    """If a task is running in this very place, have its worker hand back what waits behind it."""
    attempt = worker.current.get()
    if attempt is not None and worker.nested is not None:
        worker.nested(attempt.assignment.nonce)


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


def _store_of(task: TaskBase[Any]) -> Any:
    return current_cache().class_store(task._task_config.name)


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)
