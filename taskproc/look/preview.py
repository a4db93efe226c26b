"""What a run would do, without doing it: which tasks, why, on which backend, and what a scheduler would be told."""
from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..base.outcome import Outcome
from ..contract.plugins import Plugins
from ..plan.graph import TaskGraph
from ..plugin import Backend, BackendContext, DurableBackend, Job
from ..run.choice import BackendChoice
from ..run.places import Place, Places
from ..run.request import RunRequest
from ..run.run import make_plan
from ..runs.ledger import Ledger
from ..runs.staging import StagedSets
from ..store.cache import Cache
from ..tasks.settings import Settings, usable_cpus

if TYPE_CHECKING:
    from ..tasks.node import Node

_LOGGER = logging.getLogger(__name__)
_INTERACTIVE = "this terminal"


@dataclass(frozen=True)
class PlannedTask:
    """A task that would run.

    Attributes:
        reason: Why it would run.
        is_certain: Whether it would run in any case, and not only if what it needs gives other results than before.
        backend: Where; the leaf that a router chose.
        options: The options that differ from their defaults.
    """

    task: Node
    reason: str
    is_certain: bool
    backend: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Submission:
    """What a durable backend would be told for some of the tasks: `text`, or why that cannot be said."""

    backend: str
    wave: int
    text: str


class Preview:
    """A run as it would be.

    Args:
        task: The task asked for.
        request: What is said about the run.
        settings: The settings in force.
        cache: Where results lie. Nothing is written there.

    Raises:
        OptionError: A task has options that its backend does not take.
    """

    def __init__(self, task: Node, request: RunRequest, settings: Settings, cache: Cache) -> None:
        self.plan = make_plan(task, request, settings, cache)
        self._cache = cache
        self._max_workers = request.max_workers or settings.max_workers or usable_cpus()
        self._all_interactive = request.force_interactive
        places = _places(self.plan.graph, request, settings)
        self._places = {node: places.choose(node, 0) for node in self.plan.stale if not self._is_interactive(node)}

    @property
    def cached(self) -> int:
        """The number of tasks that would not run."""
        return len(self.plan.graph) - len(self.plan.stale)

    def tasks(self) -> Iterator[PlannedTask]:
        """Give the tasks that would run, each behind its upstreams."""
        doubtful = self.plan.doubtful()
        for node in self.plan.stale:
            task, reason = self.plan.graph.tasks[node], self.plan.reasons[node]
            place = self._places.get(node)
            where = (_INTERACTIVE, {}) if place is None else (place.plugin.name, _chosen_options(place.options))
            yield PlannedTask(task, reason, node not in doubtful, *where)

    def expanding(self) -> list[Node]:
        """Give the tasks that would run and return tasks, of which nothing is known before."""
        return [self.plan.graph.tasks[node] for node in self.plan.expanding()]

    def submissions(self) -> Iterator[Submission]:
        """Give what durable backends would be told, in waves: those of the second wave wait for tasks of the first."""
        groups: dict[tuple[int, str, Any], list[int]] = {}
        waves = self._waves()
        for node, place in self._places.items():
            groups.setdefault((waves[node], place.plugin.name, place.options), []).append(node)
        backends: dict[str, Backend | str] = {}
        for (wave, name, _), nodes in sorted(groups.items(), key=lambda item: item[0][0]):
            place = self._places[nodes[0]]
            if name not in backends:
                backends[name] = self._start(place)
            backend = backends[name]
            if isinstance(backend, str):
                yield Submission(name, wave, backend)
            elif backend.capabilities.durable:
                yield Submission(name, wave, self._text(cast("DurableBackend", backend), nodes))
        for started in backends.values():
            if not isinstance(started, str):
                started.close(False)

    def _is_interactive(self, node: int) -> bool:
        return self._all_interactive or self.plan.graph.tasks[node]._task_config.interactive

    def _waves(self) -> dict[int, int]:
        waves: dict[int, int] = {}
        for node in self.plan.stale:
            waves[node] = 1 + max((waves.get(up, 0) for up in self.plan.running_above(node)), default=0)
        return waves

    def _start(self, place: Place) -> Backend | str:
        """Make a backend that is given nothing to run; or say why it cannot be made."""
        from ..work.command import serve_command

        name = place.plugin.name
        directory = f"{self._cache.runs}/dry-run/{name}"
        context = BackendContext(
            options=place.options,
            max_workers=self._max_workers,
            directory=Path(directory),
            report=_NobodyReports(),
            staging=StagedSets(directory, cast("Ledger", None), name),  # the ledger is for sets that are really filed
            serve=serve_command(f"{self._cache.runs}/dry-run"),
        )
        assert place.plugin.factory is not None
        try:
            return place.plugin.factory(context)
        except Exception as error:
            _LOGGER.debug("no preview on %s", name, exc_info=True)
            return f"(no preview: {error})"

    def _text(self, backend: DurableBackend, nodes: list[int]) -> str:
        try:
            return backend.preview([self._job(node) for node in nodes])
        except Exception as error:
            _LOGGER.debug("no preview", exc_info=True)
            return f"(no preview: {error})"

    def _job(self, node: int) -> Job:
        task, known = self.plan.graph.tasks[node], self.plan.graph.class_of(node)
        digest = self.plan.graph.digest(node)
        id = known.store.ids.lookup([digest]).get(digest, "new")
        meta = self.plan.metas[node]
        return Job(
            nonce=secrets.token_hex(16),
            task=known.config.name,
            label=f"{known.config.short_name}-{id}",
            directory=Path(f"{known.store.directory}/results/{id}"),
            options=self._places[node].options,
            prefix=task._task_config.prefix_command,
            timeout=task._task_config.timeout,
            expected=meta.seconds if meta is not None else None,
        )


def check_backends(graph: TaskGraph, request: RunRequest, settings: Settings) -> list[str]:
    """Check, for one task of each class, that its backend exists and takes its options.

    Returns:
        The classes and channels that the request names backends for, and that no task has.

    Raises:
        OptionError: There is no such backend, or it does not take the options.
        BackendError: The backend is broken.
        SettingsError: A plugin that was asked for is not there.
    """
    choice = BackendChoice(settings, request.backend, request.specific, request.backend_options)
    places = _places(graph, request, settings, choice)
    seen: set[type] = set()
    for node, task in enumerate(graph.tasks):
        if type(task) not in seen:
            seen.add(type(task))
            places.choose(node, 0)
    return choice.unmatched


class _NobodyReports:
    """Takes reports of a backend that is given nothing to run."""

    def accepted(self, job: Job, id: str) -> None:
        """Pass over it."""

    def waiting(self, job: Job, reason: str) -> None:
        """Pass over it."""

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        """Pass over it."""

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Pass over it."""


def _places(
    graph: TaskGraph, request: RunRequest, settings: Settings, choice: BackendChoice | None = None
) -> Places:
    plugins = Plugins([*settings.plugins, *request.plugins], profiles=settings.profiles)
    choice = choice or BackendChoice(settings, request.backend, request.specific, request.backend_options)
    return Places(graph, plugins, choice)


def _chosen_options(options: Any) -> dict[str, Any]:
    return {
        field.name: value
        for field in fields(options)
        if (value := getattr(options, field.name)) != field.default and field.default is not MISSING
    }
