"""cloudpickle, but that what a script defines goes by its name, however the rest travels."""
from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from types import FunctionType, MemberDescriptorType
from typing import Any, BinaryIO

import cloudpickle

from .naming import name_in_main

_MARKS = ("MISSING", "KW_ONLY", "_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR", "_HAS_DEFAULT_FACTORY")


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles by value what has no name that a later process could look up."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and name_in_main(obj):
            return NotImplemented
        if mark := mark_of_dataclasses(obj):
            return mark
        return as_defined(obj, super().reducer_override(obj))


def mark_of_dataclasses(obj: Any) -> str:
    """Give the name of a value that `dataclasses` compares by identity, so that it goes by that; else nothing."""
    if type(obj).__module__ != "dataclasses":
        return ""
    return next((name for name in _MARKS if obj is getattr(dataclasses, name, None)), "")


def as_defined(cls: Any, reduced: Any) -> Any:
    """Let a class that travels by value keep its whole name and its slots: cloudpickle leaves both behind."""
    if not isinstance(cls, type) or not isinstance(reduced, tuple) or len(reduced) < 3:
        return reduced
    make, arguments, (attributes, slots), *rest = reduced
    kept = {name: value for name, value in attributes.items() if not isinstance(value, MemberDescriptorType)}
    kept["__qualname__"] = cls.__qualname__
    if "__slots__" in vars(cls) and not issubclass(cls, tuple):
        metaclass, name, bases, namespace, *more = arguments
        arguments = (metaclass, name, bases, {**namespace, "__slots__": vars(cls)["__slots__"]}, *more)
    return (make, arguments, (kept, slots), *rest)


def dumps(value: Any) -> bytes:
    """Pickle a value."""
    buffer = io.BytesIO()
    dump(value, buffer)
    return buffer.getvalue()


def dump(value: Any, file: BinaryIO | io.RawIOBase, refer: Callable[[Any], Any] | None = None) -> None:
    """Pickle a value into a file.

    Args:
        value: The value.
        file: The file.
        refer: Gives the persistent id of what is not to be pickled itself, and None for all else.
    """
    pickler = ByValue(file, 5) if refer is None else _Referring(file, refer)
    pickler.dump(value)


class _Referring(ByValue):
    """Refers to what is not to be pickled itself."""

    def __init__(self, file: BinaryIO | io.RawIOBase, refer: Callable[[Any], Any]) -> None:
        super().__init__(file, 5)
        self._refer = refer

    def persistent_id(self, obj: Any) -> Any:
        return self._refer(obj)
