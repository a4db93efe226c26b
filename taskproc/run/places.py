"""Where an attempt goes: a backend that takes jobs itself, with checked options."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import BackendError, OptionError, SettingsError, TaskprocError
from ..base.options import build_options
from ..contract.plugins import Plugins
from ..plan.graph import TaskGraph
from ..plugin import BackendPlugin, Job
from ..tasks.node import Node
from .choice import BackendChoice


@dataclass(frozen=True)
class Place:
    """Where a task's attempt goes."""

    plugin: BackendPlugin
    options: Any


class Places:
    """Chooses the places of a run's tasks.

    Args:
        graph: The run's graph.
        plugins: Finds backends.
        choice: Chooses among them.
    """

    def __init__(self, graph: TaskGraph, plugins: Plugins, choice: BackendChoice) -> None:
        self._graph = graph
        self._plugins = plugins
        self._choice = choice
        self._of_class: dict[tuple[type, str], Place] = {}
        self._own: dict[int, tuple[int, Place]] = {}

    def check(self, nodes: Iterable[int]) -> None:
        """Check the places of these tasks, as far as they are the same for all tasks of a class.

        Raises:
            BackendError: A class's backend cannot be had, or does not take its options.
        """
        for node in nodes:
            config = self._graph.tasks[node]._task_config
            if not config.interactive and not callable(config.backend_options):
                self.choose(node, 0)

    def choose(self, node: int, attempt: int) -> Place:
        """Choose the place of a task's attempt, counted from 0; a class's callable is asked once for each.

        Raises:
            OptionError: The class's callable fails, or gives options that the backend does not take.
            BackendError: There is no such backend.
        """
        task = self._graph.tasks[node]
        config = task._task_config
        if callable(config.backend_options):
            known, place = self._own.get(node, (-1, None))
            if place is None or known != attempt:
                place = self._choose(task, _asked(task, config.backend_options, attempt))
                self._own[node] = attempt, place
            return place
        key = type(task), config.prefix_command
        place = self._of_class.get(key)
        if place is None:
            place = self._of_class[key] = self._choose(task, config.backend_options)
        return place

    def default(self, name: str) -> Place:
        """Give a backend by name, with its own default options."""
        plugin = self._plugins.backend(name)
        return Place(plugin, build_options(plugin.options, {}, name))

    def _choose(self, task: Node, written: Mapping[str, Any]) -> Place:
        config = task._task_config
        name, options, where = self._choice.choose(config.name, config.channels, config.backend, written)
        plugin = self._plugins.backend(name)
        visited = [name]
        while plugin.route is not None:
            name = _routed(plugin, Job("", config.name, config.name, Path(), None, config.prefix_command))
            if name in visited:
                msg = f"the backends {' -> '.join([*visited, name])} route in a circle"
                raise SettingsError(msg)
            visited.append(name)
            plugin = self._plugins.backend(name)
        return Place(plugin, build_options(plugin.options, options, where))


def _asked(task: Node, source: Callable[[Any, int], Mapping[str, Any]], attempt: int) -> Mapping[str, Any]:
    """Ask a class's own function for the options of an attempt."""
    name = task._task_config.name
    try:
        written = source(task, attempt)
    except Exception as error:
        msg = f"{name}: backend_options raised {type(error).__name__} for {task!r}, attempt {attempt}: {error}"
        raise OptionError(msg) from error
    if not isinstance(written, Mapping):
        msg = f"{name}: backend_options gave {written!r}, which is no mapping of options"
        raise OptionError(msg)
    return written


def _routed(plugin: BackendPlugin, job: Job) -> str:
    """Ask a router for a backend."""
    assert plugin.route is not None
    try:
        name = plugin.route(job)
    except TaskprocError:
        raise
    except (Exception, SystemExit) as error:
        msg = f"the backend {plugin.name} broke in route(): {type(error).__name__}: {error}; tell its authors"
        raise BackendError(msg) from error
    if not isinstance(name, str):
        msg = f"the backend {plugin.name} broke in route(): it gave {name!r}, no backend's name; tell its authors"
        raise BackendError(msg)
    return name
