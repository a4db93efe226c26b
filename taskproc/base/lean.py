"""What workers have of `typing`, `pickle`, `threading` and others: importing them whole takes longer than many a task.

Type checkers see the real ones. Modules that every worker, or every command, imports take from here what they need at
run time, and name all else of `typing` only where a type checker looks.
"""
from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    import pickle
    import struct
    from _thread import start_new_thread as start_thread
    from contextvars import ContextVar
    from hashlib import blake2b
    from queue import Empty, SimpleQueue
    from threading import Lock, local
    from typing import Generic, NamedTuple, TypeVar, cast, overload
else:
    import _struct as struct
    from _contextvars import ContextVar
    from _queue import Empty, SimpleQueue
    from _thread import _local as local
    from _thread import allocate_lock as Lock
    from _thread import start_new_thread as start_thread
    from collections import namedtuple
    from types import GenericAlias

    try:
        import _pickle as pickle  # its other half, in Python, brings `re` and `enum` along, and nothing of use here
    except ImportError:  # an interpreter that has only the other half
        import pickle
    try:
        from _blake2 import blake2b  # without OpenSSL, which `hashlib` loads
    except ImportError:  # an interpreter that takes it from there
        from hashlib import blake2b

    class Generic:
        """A base of classes that can be subscripted."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)

    class _Fields(type):
        def __new__(mcs, name, bases, namespace):
            if not bases:
                return super().__new__(mcs, name, bases, namespace)
            fields = namespace["__annotations__"]
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            base = namedtuple(f"_{name}", fields, defaults=defaults)
            return type(name, (base,), {"__slots__": (), **namespace})

    class NamedTuple(metaclass=_Fields):
        """A base of tuples whose fields are their annotations."""

    def TypeVar(name, **_):
        return name

    def cast(_, value):
        return value

    def overload(function):
        return function

__all__ = [
    "ContextVar",
    "Empty",
    "Generic",
    "Lock",
    "NamedTuple",
    "SimpleQueue",
    "TypeVar",
    "blake2b",
    "cast",
    "local",
    "overload",
    "pickle",
    "start_thread",
    "struct",
]
