"""What a task changes in its process besides its result, and what is put back for the next one there.

A look costs microseconds, and only what has changed is put back. What lives on by itself (threads, monkeypatches,
modules that were imported, random generators) is the task's own business.
"""
from __future__ import annotations

import os
import sys
from _locale import LC_COLLATE, LC_CTYPE, LC_MONETARY, LC_NUMERIC, LC_TIME, setlocale

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    import signal
    from typing import Any
else:
    import _signal as signal  # without the enumerations around it

_SIGNALS = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGALRM,
    signal.SIGTERM,
    signal.SIGCHLD,
)
_CATEGORIES = (LC_CTYPE, LC_NUMERIC, LC_TIME, LC_COLLATE, LC_MONETARY)
_environment: dict[bytes, bytes] = getattr(os.environ, "_data", {})  # a look at it takes a tenth of one at os.environ


class Surroundings:
    """A process as it was when a task started.

    Attributes:
        modules: The number of modules that were imported then.
    """

    def __init__(self) -> None:
        self.modules = len(sys.modules)
        self._directory = _working_directory()
        self._environment = _environment.copy()
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._path = sys.path.copy()
        self._recursion = sys.getrecursionlimit()
        self._handlers = [signal.getsignal(number) for number in _SIGNALS]
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._locale = _locale()
        self._logging = _logging()
        self._filters = _filters()

    def hold(self) -> bool:
        """Whether these, put back after a task, hold for the next one: only what is imported may set something else."""
        return self.modules == len(sys.modules)

    def put_back(self) -> None:
        """Put back what is different now."""
        if _working_directory() != self._directory and self._directory:
            _change_directory(self._directory)
        if _environment != self._environment:
            self._put_environment_back()
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if sys.path != self._path:
            sys.path[:] = self._path
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if signal.getsignal(number) is not handler:
                _put_handler_back(number, handler)
        os.umask(self._umask)
        if _locale() != self._locale:
            _put_locale_back(self._locale)
        if _logging() != self._logging:
            _put_logging_back(self._logging)
        _forget_warnings(self._filters)

    def _put_environment_back(self) -> None:
        for name in [name for name in _environment if name not in self._environment]:
            del os.environ[os.fsdecode(name)]
        for name, value in self._environment.items():
            if _environment.get(name) != value:
                os.environ[os.fsdecode(name)] = os.fsdecode(value)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError:
        pass


def _put_handler_back(number: int, handler: Any) -> None:
    if callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN):
        try:
            signal.signal(number, handler)
        except ValueError:  # this is no main thread
            pass


def _locale() -> list[str]:
    if "locale" not in sys.modules:
        return []
    return [setlocale(category, None) for category in _CATEGORIES]


def _put_locale_back(before: list[str]) -> None:
    import locale

    for category, name in zip(_CATEGORIES, before or _locale_at_start(), strict=True):
        try:
            locale.setlocale(category, name)
        except locale.Error:
            pass


def _locale_at_start() -> list[str]:
    """Give what Python sets before anything else."""
    return ["", "C", "C", "C", "C"]


def _logging() -> dict[str, tuple[int, list[logging.Handler]]]:
    """Look at the level and the handlers of all loggers that have some, without importing any."""
    module = sys.modules.get("logging")
    if module is None:
        return {}
    found = {"": (module.root.level, module.root.handlers.copy())}
    for name, logger in list(module.root.manager.loggerDict.items()):
        handlers = getattr(logger, "handlers", [])  # some are but names on the way to others
        if handlers or getattr(logger, "level", 0):
            found[name] = (logger.level, handlers.copy())
    return found


def _put_logging_back(before: dict[str, tuple[int, list[logging.Handler]]]) -> None:
    import logging

    for name in {*_logging(), *before}:
        level, handlers = before.get(name, (logging.NOTSET if name else logging.WARNING, []))
        logger = logging.getLogger(name)
        logger.setLevel(level)
        for handler in logger.handlers.copy():
            if handler not in handlers:
                logger.removeHandler(handler)
                try:
                    handler.close()
                except Exception:  # of the user's own class
                    pass
        for handler in handlers:
            logger.addHandler(handler)


def _filters() -> list[Any]:
    warnings = sys.modules.get("warnings")
    return warnings.filters.copy() if warnings is not None else []


def _forget_warnings(filters: list[Any]) -> None:
    """Have each task warn anew, by the filters that were there before it."""
    warnings = sys.modules.get("warnings")
    if warnings is None:
        return
    warnings.onceregistry.clear()
    with warnings.catch_warnings():  # which makes modules forget what they have warned of
        pass
    if filters and warnings.filters != filters:
        warnings.filters[:] = filters
