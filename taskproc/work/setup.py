"""What a script sets up besides its tasks, and what of it holds on a worker.

The driver writes it down once per run (`describe`), in plain data. A worker does the same once (`set_up`), and for each
task, in whichever thread it runs, what Python keeps for each thread (`set_up_thread`). For all else there is a hook:
`[worker] setup = "module:function"` in the settings, called once per process.
"""
from __future__ import annotations

import sys
from _thread import RLock

from ..base.errors import TaskprocError
from ..base.telling import told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from decimal import Context
    from typing import Any

_lock = RLock()
_hooks_called: set[str] = set()
_later: list[tuple[Any, ...]] = []  # warnings filters whose category's module is not imported here yet


def describe(hook: str | None) -> dict[str, Any]:
    """Write down what holds in this process and thread.

    Args:
        hook: The settings' hook.
    """
    return {
        "hook": hook or "",
        "recursion": sys.getrecursionlimit(),
        "decimal": _describe_decimal(),
        "numpy": _describe_numpy(),
        "locale": _describe_locale(),
        "filters": _describe_filters(),
        "logging": _describe_logging(),
    }


def set_up(described: dict[str, Any]) -> None:
    """Make this process like its driver's.

    Raises:
        TaskprocError: Something cannot be had here.
    """
    if described["recursion"] != sys.getrecursionlimit():
        sys.setrecursionlimit(described["recursion"])
    if described["locale"]:
        _set_locale(described["locale"])
    if described["filters"] != _describe_filters():
        _set_filters(described["filters"])
    if described["logging"]:
        _set_logging(described["logging"])


def call_hook(described: dict[str, Any]) -> None:
    """Call the settings' hook, if this process has not called it yet.

    Raises:
        TaskprocError: It cannot be found, or failed.
    """
    hook = described["hook"]
    if not hook or hook in _hooks_called:
        return
    with _lock:
        if hook in _hooks_called:
            return
        module, _, name = hook.partition(":")
        try:
            __import__(module)
            found: Any = sys.modules[module]
            for part in name.split("."):
                found = getattr(found, part)
            found()
        except Exception as error:
            msg = f"the settings' [worker] setup = {hook!r} failed on the worker: {told(error)}"
            raise TaskprocError(msg) from error
        _hooks_called.add(hook)


def set_up_thread(described: dict[str, Any]) -> None:
    """Give a task what Python keeps for each thread, as its driver's thread had it, and not as another task left it."""
    if described["decimal"] or "decimal" in sys.modules:
        import decimal

        decimal.setcontext(_make_decimal(described["decimal"]))
    if described["numpy"] or "numpy" in sys.modules:
        import numpy as np

        errors: Any = described["numpy"] or _NUMPY
        np.seterr(**errors)
    if _later and any(entry[2][0] in sys.modules for entry in _later):
        _set_filters(_later)


# --- decimal and numpy ---

_NUMPY = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _describe_decimal() -> dict[str, Any] | None:
    """Give what is special of the decimal context; None if nothing is."""
    decimal = sys.modules.get("decimal")
    if decimal is None:
        return None
    here, usual = decimal.getcontext(), decimal.Context()
    described = {name: getattr(here, name) for name in _DECIMAL}
    traps = [signal.__name__ for signal, trapped in here.traps.items() if trapped]
    is_usual = described == {name: getattr(usual, name) for name in _DECIMAL} and here.traps == usual.traps
    return None if is_usual else {**described, "traps": traps}


def _make_decimal(described: dict[str, Any] | None) -> Context:
    import decimal

    if described is None:
        return decimal.Context()
    traps = [getattr(decimal, name) for name in described["traps"]]
    return decimal.Context(**{**described, "traps": traps, "flags": []})


def _describe_numpy() -> dict[str, str] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    described = {name: how for name, how in numpy.geterr().items() if how in ("ignore", "warn", "raise", "print")}
    return None if described == _NUMPY else described


# --- the locale ---


def _describe_locale() -> dict[str, str]:
    """Give the categories that a script has set; that of characters is each machine's own."""
    if "locale" not in sys.modules:
        return {}
    import locale

    names = ("LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY")
    found = {name: locale.setlocale(getattr(locale, name)) for name in names}
    return {name: value for name, value in found.items() if value != "C"}


def _set_locale(described: dict[str, str]) -> None:
    import locale

    for name, value in described.items():
        try:
            locale.setlocale(getattr(locale, name), value)
        except locale.Error as error:
            msg = f"the script has set {name} to {value!r}, which this machine does not know: {error}"
            raise TaskprocError(msg) from error


# --- warnings filters ---


def _describe_filters() -> list[tuple[Any, ...]]:
    """Give the filters, which may name modules and classes, as text."""
    import warnings

    described = []
    for action, message, category, module, line in warnings.filters:
        cls = (category.__module__, getattr(category, "__qualname__", ""))  # for type checkers it may be a tuple
        described.append((action, _as_text(message), cls, _as_text(module), line))
    return described


def _as_text(pattern: Any) -> Any:
    return pattern if pattern is None or isinstance(pattern, str) else (pattern.pattern, pattern.flags)


def _set_filters(described: list[tuple[Any, ...]]) -> None:
    import warnings

    found, missing = [], []
    for entry in described:
        action, message, (module, name), where, line = entry
        category = getattr(sys.modules.get(module), name, None)
        if isinstance(category, type):
            found.append((action, _as_pattern(message), category, _as_pattern(where), line))
        else:
            missing.append(entry)
    rest = [entry for entry in warnings.filters if entry not in found]
    warnings.filters[:] = [*found, *rest]  # type: ignore[index]  # a list, whatever typeshed calls it
    _later[:] = missing
    with warnings.catch_warnings():  # so that this is seen
        pass


def _as_pattern(text: Any) -> Any:
    if text is None or isinstance(text, str):
        return text
    import re

    return re.compile(*text)


# --- logging ---


def _describe_logging() -> dict[str, dict[str, Any]]:
    """Give what the script has set of its loggers: levels, and of handlers that there are some, and their format."""
    module = sys.modules.get("logging")
    if module is None:
        return {}
    loggers = {"": module.root, **module.root.manager.loggerDict}
    described = {}
    for name, logger in loggers.items():
        if not isinstance(logger, module.Logger) or name.partition(".")[0] == "taskproc":
            continue
        handlers = [handler for handler in logger.handlers if not isinstance(handler, module.NullHandler)]
        usual = module.WARNING if logger is module.root else module.NOTSET
        if handlers or logger.level != usual or logger.disabled or not logger.propagate:
            described[name] = {
                "level": logger.level,
                "propagate": logger.propagate,
                "disabled": logger.disabled,
                "handler": _describe_handler(handlers, module),
            }
    return described


def _describe_handler(handlers: list[logging.Handler], module: Any) -> dict[str, Any] | None:
    """Describe the handler that stands for these on a worker: the one for people, if there is one."""
    if not handlers:
        return None
    streams = [one for one in handlers if isinstance(one, module.StreamHandler)]
    handler = [*(one for one in streams if not isinstance(one, module.FileHandler)), *handlers][0]
    formatter = handler.formatter
    style = getattr(formatter, "_style", None)
    kinds = {kind: sign for sign, (kind, _) in module._STYLES.items()}
    return {
        "level": handler.level,
        "format": getattr(formatter, "_fmt", None),
        "dates": getattr(formatter, "datefmt", None),
        "style": kinds.get(type(style), "%"),
    }


def _set_logging(described: dict[str, dict[str, Any]]) -> None:
    import logging

    from .logs import TaskLog

    for name, how in described.items():
        logger = logging.getLogger(name)
        logger.setLevel(how["level"])
        logger.propagate, logger.disabled = how["propagate"], how["disabled"]
        if how["handler"] is not None and not logger.handlers:
            handler = TaskLog(how["handler"]["level"])
            handler.setFormatter(
                logging.Formatter(how["handler"]["format"], how["handler"]["dates"], how["handler"]["style"])
            )
            logger.addHandler(handler)
