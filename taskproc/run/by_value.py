"""Pickling by value for workers: functions keep living in their modules, and what is made anew there is made anew.

cloudpickle copies the globals that a function uses. Here a function's globals are the namespace of its module on the
worker, so that all that is one thing in the script is one thing there: a class and its instances, a sentinel and the
default that is compared with it, a table and the functions that fill it.
"""
from __future__ import annotations

import copyreg
import functools
import io
import sys
import threading
import typing
import weakref
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar
from enum import EnumMeta
from types import FunctionType, MappingProxyType
from typing import Any, BinaryIO

import cloudpickle

from ..base.by_value import as_defined, mark_of_dataclasses
from ..base.naming import name_in_main
from ..work.driver_main import make_unheard, namespace
from .importing import importable, is_findable

_Cached: type = type(functools.lru_cache(lambda: None))
DEFINITIONS = (type, FunctionType, _Cached, typing.NewType)  # what a module defines under a name


class Linked(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles for a worker.

    Args:
        file: Where to.
        by_name: Says of a name in `__main__`, met as a class or function, whether the worker looks it up.
        use: Gives, of the globals of `__main__` that a function uses, those that travel with it.
    """

    def __init__(
        self,
        file: BinaryIO | io.RawIOBase | io.BytesIO,
        by_name: Callable[[str], bool],
        use: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        # What a trial writes goes nowhere, so that large buffers need not even be copied.
        super().__init__(file, 5, buffer_callback=_drop if isinstance(file, Nowhere) else None)
        self._by_name = by_name
        self._use = use

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, DEFINITIONS) and self._goes_by_name(obj):
            return NotImplemented
        if isinstance(obj, FunctionType):
            return self._linked(obj, super().reducer_override(obj))
        if isinstance(obj, type):
            return _unheard(obj, as_defined(obj, super().reducer_override(obj)))
        return mark_of_dataclasses(obj) or NotImplemented

    def _goes_by_name(self, obj: Any) -> bool:
        name = name_in_main(obj)
        return bool(name) and self._by_name(name)

    def _linked(self, function: FunctionType, reduced: Any) -> Any:
        """Let a function that travels by value use its module's namespace as it is on the worker."""
        if not isinstance(reduced, tuple):
            return reduced
        home = function.__globals__.get("__name__")
        module = sys.modules.get(home) if isinstance(home, str) else None
        if module is None or vars(module) is not function.__globals__:
            return reduced
        make, (code, _, *arguments), (attributes, slots), *rest = reduced
        if home == "__main__":
            used = self._use(slots["__globals__"])
        elif is_findable(module):
            used = {}
        else:
            return reduced
        state = (attributes, {**slots, "__globals__": used})
        return (make, (code, _Namespace(module.__name__), *arguments), state, *rest)


class Defining(Linked):
    """Pickles what a script defines, for which there is no other place: what has no value of its own is made anew."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)):
            return super().reducer_override(obj)
        if isinstance(obj, DEFINITIONS) and self._goes_by_name(obj):
            return NotImplemented
        return mark_of_dataclasses(obj) or _made_anew(obj)


class Nowhere(io.RawIOBase):
    """Takes what is written, and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


class _Namespace:
    """Stands for the namespace of a module."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return namespace, (self._module,)


def _unheard(cls: type, reduced: Any) -> Any:
    """Keep the script's own `__init_subclass__` from running a second time for a class that is made on a worker."""
    hooked = any("__init_subclass__" in vars(base) and not importable(base) for base in cls.__mro__[1:])
    if not hooked or not isinstance(reduced, tuple) or isinstance(cls, EnumMeta):
        return reduced
    make, arguments, *rest = reduced
    return (make_unheard, (make, *arguments), *rest)


def _drop(_: Any) -> bool:
    return False


def _made_anew(obj: Any) -> Any:
    """Say how to make what pickle refuses, or would only look up; NotImplemented for all else."""
    make = _MADE_ANEW.get(type(obj))
    if make is not None:
        return make(obj)
    cls = type(obj)
    if cls.__module__ != "__main__" or not _reduces_itself(cls):
        return NotImplemented
    reduced = obj.__reduce_ex__(5)
    if isinstance(reduced, str):  # a name, which on the worker is yet to come
        return copyreg.__newobj__, (cls,), getattr(obj, "__dict__", None)  # type: ignore[attr-defined]
    return reduced


def _reduces_itself(cls: type) -> bool:
    return any({"__reduce__", "__reduce_ex__"} & vars(base).keys() for base in cls.__mro__[:-1])


def _variable(variable: ContextVar[Any]) -> Any:
    try:
        return _make_variable, (variable.name, Context().run(variable.get))
    except LookupError:
        return ContextVar, (variable.name,)


def _make_variable(name: str, default: Any) -> ContextVar[Any]:
    return ContextVar(name, default=default)


def _cache_of(cached: Any) -> Any:
    limits = cached.cache_parameters()
    return _make_cached, (cached.__wrapped__, limits["maxsize"], limits["typed"])


def _make_cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


_MADE_ANEW: dict[type, Callable[[Any], Any]] = {
    type(threading.Lock()): lambda _: (threading.Lock, ()),
    type(threading.RLock()): lambda _: (threading.RLock, ()),
    threading.local: lambda _: (threading.local, ()),
    ContextVar: _variable,
    _Cached: _cache_of,
    typing.NewType: lambda new: (typing.NewType, (new.__name__, new.__supertype__), dict(vars(new))),
    MappingProxyType: lambda proxy: (MappingProxyType, (dict(proxy),)),
    weakref.WeakKeyDictionary: lambda weak: (weakref.WeakKeyDictionary, (dict(weak),)),
    weakref.WeakValueDictionary: lambda weak: (weakref.WeakValueDictionary, (dict(weak),)),
    weakref.WeakSet: lambda weak: (weakref.WeakSet, (list(weak),)),
}
