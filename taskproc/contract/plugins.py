"""Finding plugins: backends by name, and listeners.

A backend comes from an entry point in the group `taskproc`, loaded only when somebody names it, or from a plugin
that the user asked for: a module, or a single file. Listeners come from the group `taskproc.listeners` and from
the same modules and files.
"""
from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from functools import partial
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, NamedTuple, cast

import pluggy

from .. import plugin as contract
from ..base.errors import BackendError, OptionError, SettingsError
from ..base.options import nearest
from ..plugin import API_VERSION, BackendPlugin, Event, RunInfo, RunReport

_LOGGER = logging.getLogger(__name__)

_BACKENDS = "taskproc"
_LISTENERS = "taskproc.listeners"
_SHIPPED = (
    "executor", "flux", "htcondor", "local", "pbs", "prefix", "process", "sge", "shell", "thread", "torque",
)
_ELSEWHERE = {"slurm": "taskproc-slurm", "lsf": "taskproc-lsf", "dask": "taskproc-dask"}


class Available(NamedTuple):
    """A backend that could be used.

    Args:
        name: Its name.
        origin: The distribution, module or file that it comes from.
        load: Gives the plugin, or raises `BackendError` if it is broken.
    """

    name: str
    origin: str
    load: Callable[[], BackendPlugin]


class Plugins:
    """The backends and listeners that a run can use.

    Args:
        extra: Modules and files that bring more than what is installed: `mysite`, `tools/mysite.py`.
        profiles: Names of profiles, to suggest when a name is unknown.

    Raises:
        SettingsError: A module or file does not exist.
        BackendError: A module or file is no plugin, or is broken.

    Example:
        >>> plugins = Plugins(["taskproc_backends.thread"])
        >>> plugins.backend("thread").summary
        "Threads of the driver's process."
    """

    def __init__(self, extra: Sequence[str] = (), *, profiles: Iterable[str] = ()) -> None:
        self._manager = _new_manager()
        self._profiles = list(profiles)
        self._entries: dict[str, list[EntryPoint]] | None = None
        self._loaded: dict[str, BackendPlugin] = {}
        self._extra: dict[str, Available] = {}
        self._listening: list[tuple[str, Any]] = []
        for name in dict.fromkeys(extra):
            self._add(name)

    def backend(self, name: str) -> BackendPlugin:
        """Give the plugin of a backend; nothing else is loaded.

        Raises:
            OptionError: There is no backend of that name.
            BackendError: It is broken, or made for another version of the contract.
        """
        found = self._loaded.get(name)
        if found is None:
            found = self._loaded[name] = self._find(name).load()
        return found

    def available(self) -> list[Available]:
        """List every backend by name, without loading those that are installed."""
        installed = {
            name: Available(name, _origin(entries[0]), partial(self.backend, name))
            for name, entries in self._installed().items()
        }
        found = {**installed, **self._extra}
        return [found[name] for name in sorted(found)]

    def listeners(self) -> Listeners:
        """Load all listeners; one that is broken is reported and left out."""
        found = list(self._listening)
        for entry in _entries_of(_LISTENERS):
            try:
                listener = entry.load()
                found.append((f"{entry.name} ({_origin(entry)})", listener))
            except (Exception, SystemExit) as error:
                problem = f"{type(error).__name__}: {error}"
                _LOGGER.warning("the listener %s of %s is left out: %s", entry.name, _origin(entry), problem)
        return Listeners(found)

    def _add(self, name: str) -> None:
        """Take in a module or file that the user asked for."""
        origin = f"file {name}" if _is_path(name) else f"module {name}"
        module = _import_file(name) if _is_path(name) else _import_module(name)
        backends = _backends_of(self._manager, module, origin)
        if not backends and not _listens(self._manager, module):
            msg = (
                f"the {origin} is no plugin; it needs plugin = BackendPlugin(...), or a function "
                "taskproc_backends (or one for listeners) that is marked with @hookimpl of taskproc.plugin"
            )
            raise BackendError(msg)
        for backend in backends:
            known = self._extra.get(backend.name)
            if known is not None:
                msg = f"the {known.origin} and the {origin} both bring a backend {backend.name!r}; name only one"
                raise BackendError(msg)
            self._extra[backend.name] = Available(backend.name, origin, partial(_checked, backend, origin))
        self._listening.append((origin, module))

    def _find(self, name: str) -> Available:
        if name in self._extra:
            return self._extra[name]
        entries = self._installed().get(name)
        if not entries:
            raise OptionError(self._unknown(name))
        if len(entries) > 1:
            origins = " and ".join(map(_origin, entries))
            msg = f"{origins} both bring a backend {name!r}; uninstall one of them"
            raise BackendError(msg)
        return Available(name, _origin(entries[0]), partial(self._load, entries[0]))

    def _load(self, entry: EntryPoint) -> BackendPlugin:
        origin = _origin(entry)
        try:
            loaded = entry.load()
        except (Exception, SystemExit) as error:
            msg = (
                f"the backend {entry.name!r} of {origin} cannot be imported: {type(error).__name__}: {error}; "
                f"repair it with pip install --upgrade --force-reinstall {_distribution(entry)}, "
                "or use another backend"
            )
            raise BackendError(msg) from error
        backends = {backend.name: backend for backend in _backends_of(self._manager, loaded, origin)}
        if entry.name not in backends:
            brought = ", ".join(map(repr, backends)) or "none"
            msg = (
                f"the entry point {entry.name!r} of {origin} ({entry.value}) does not give a BackendPlugin "
                f"of that name (found: {brought}); tell its authors"
            )
            raise BackendError(msg)
        return _checked(backends[entry.name], origin)

    def _installed(self) -> dict[str, list[EntryPoint]]:
        if self._entries is None:
            self._entries = {}
            for entry in _entries_of(_BACKENDS):
                self._entries.setdefault(entry.name, []).append(entry)
        return self._entries

    def _unknown(self, name: str) -> str:
        if name in _ELSEWHERE:
            return f"the backend {name!r} is not installed; pip install {_ELSEWHERE[name]}"
        if name in _SHIPPED:
            return f"taskproc's own backend {name!r} is not registered; pip install --force-reinstall taskproc"
        known = {*self._installed(), *self._extra, *self._profiles}
        suggestion = nearest(name, sorted(known))
        if suggestion.startswith("known are"):
            suggestion = nearest(name, sorted({*known, *_ELSEWHERE}))
        return (
            f"there is no backend or profile {name!r}; {suggestion} A plugin that brings it can be installed "
            "with pip, or named with -p or plugins = [...] in the settings."
        )


class Listeners:
    """Calls every listener in turn; one that fails is reported once, and not called again."""

    def __init__(self, listeners: Iterable[tuple[str, Any]] = ()) -> None:
        self._manager = _new_manager()
        for name, listener in listeners:
            self._register(name, listener)

    def __bool__(self) -> bool:
        return bool(self._manager.get_plugins())

    def run_started(self, run: RunInfo) -> None:
        """Tell that a run starts."""
        self._call("run_started", run=run)

    def events(self, run: RunInfo, events: Sequence[Event]) -> None:
        """Tell what happened since the last call."""
        self._call("events", run=run, events=events)

    def run_finished(self, run: RunInfo, report: RunReport) -> None:
        """Tell how the run ended."""
        self._call("run_finished", run=run, report=report)

    def _register(self, name: str, listener: Any) -> None:
        try:
            self._manager.register(listener() if isinstance(listener, type) else listener, name)
        except Exception as error:
            _LOGGER.warning("the listener %s is left out: %s: %s", name, type(error).__name__, error)

    def _call(self, hook: str, **given: Any) -> None:
        for implementation in list(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                implementation.function(*(given[name] for name in implementation.argnames))
            except Exception:
                name = implementation.plugin_name
                _LOGGER.warning("the listener %s failed; it is not called again", name, exc_info=True)
                self._manager.unregister(implementation.plugin)


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("taskproc")
    manager.add_hookspecs(contract)
    return manager


def _entries_of(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value.partition(".")[0]


# ------------------------------------------------------------------------------------------- what a plugin brings


def _backends_of(manager: pluggy.PluginManager, thing: Any, origin: str) -> list[BackendPlugin]:
    """Give the backends that an object brings: itself, its `plugin`, or what its hook gives."""
    for given in (thing, getattr(thing, "plugin", None)):
        if isinstance(given, BackendPlugin):
            return [given]
        if isinstance(given, (list, tuple)) and all(isinstance(item, BackendPlugin) for item in given):
            return list(given)
    try:
        if not manager.is_registered(thing):
            manager.register(thing, f"{origin} {id(thing)}")
        hooks = [hook for hook in manager.hook.taskproc_backends.get_hookimpls() if hook.plugin is thing]
        found = [backend for hook in hooks for backend in cast("Iterable[Any]", hook.function())]
    except (Exception, SystemExit) as error:
        msg = f"the plugin of {origin} is broken: {type(error).__name__}: {error}; tell its authors"
        raise BackendError(msg) from error
    for backend in found:
        if not isinstance(backend, BackendPlugin):
            msg = f"taskproc_backends of {origin} gave {backend!r}, which is no BackendPlugin; tell its authors"
            raise BackendError(msg)
    return found


def _listens(manager: pluggy.PluginManager, thing: Any) -> bool:
    return bool(manager.get_hookcallers(thing))


def _checked(backend: BackendPlugin, origin: str) -> BackendPlugin:
    """Refuse a plugin that this version of taskproc cannot drive."""
    name = f"the backend {backend.name!r} of {origin}"
    if backend.api_version != API_VERSION:
        newer = backend.api_version > API_VERSION
        msg = (
            f"{name} is made for version {backend.api_version} of the plugin contract, and this taskproc has "
            f"version {API_VERSION}; update {'taskproc' if newer else origin}"
        )
        raise BackendError(msg)
    if (backend.factory is None) == (backend.route is None):
        msg = f"{name} needs a factory or a route, and not both; tell its authors"
        raise BackendError(msg)
    if not (isinstance(backend.options, type) and is_dataclass(backend.options)):
        msg = f"{name} has options={backend.options!r}, which is no dataclass; tell its authors"
        raise BackendError(msg)
    return backend


# ------------------------------------------------------------------------------------------- modules and files


def _is_path(name: str) -> bool:
    return name.endswith(".py") or "/" in name or os.sep in name


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise BackendError(_broken(f"module {name}", error)) from error
        hint = f"did you mean {name}.py?" if os.path.isfile(f"{name}.py") else "give a module or a file"
        msg = f"there is no plugin {name!r} to import; {hint}"
        raise SettingsError(msg) from None
    except (Exception, SystemExit) as error:
        raise BackendError(_broken(f"module {name}", error)) from error


def _import_file(name: str) -> ModuleType:
    path = os.path.abspath(os.path.expanduser(name))
    if not os.path.isfile(path):
        msg = f"there is no plugin file {name}"
        raise SettingsError(msg)
    stem = os.path.splitext(os.path.basename(path))[0]
    module_name = f"taskproc_plugin_{stem}_{blake2b(os.fsencode(path), digest_size=4).hexdigest()}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        msg = f"the plugin file {name} is not Python; its name should end in .py"
        raise SettingsError(msg)
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise BackendError(_broken(f"file {name}", error)) from error
    return module


def _broken(origin: str, error: BaseException) -> str:
    return f"the plugin {origin} cannot be imported: {type(error).__name__}: {error}; mend it or leave it out"
