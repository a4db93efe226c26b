"""Packing for the hand-over, in the driver: one task's class, attributes and light references, pickled.

A class that a fresh process cannot import (from a script, a notebook, a function) goes into a bundle by value, written
once per run; everything else goes by name.
"""
from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ..base.errors import TaskDefinitionError
from ..tasks.requires import PRIVATE, convert
from ..tasks.settled import check_unchanged
from ..work.handover import Assignment, ClassRef, register_here

if TYPE_CHECKING:
    from ..tasks.node import Node

_NOT_ATTRIBUTES = ("_task", "__orig_class__")
_found_modules: dict[str, bool] = {}


class Packer:
    """Makes the payloads of one run.

    Args:
        directory: The run's directory, where bundles go.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._refs: dict[type, ClassRef] = {}
        self._found: set[Any] = set()  # what a worker can look up, as far as it was asked for

    def register(self, classes: Iterable[type]) -> None:
        """Prepare the classes whose tasks will travel; those that cannot be imported go into one bundle."""
        classes = list(classes)
        by_value = [cls for cls in classes if not importable(cls)]
        bundle = self._write_bundle(by_value) if by_value else ""
        for cls in classes:
            where = bundle if cls in by_value else ""
            self._refs[cls] = ClassRef(cls.__module__, cls.__qualname__, register_here(cls), where)

    def pack(self, assignment: Assignment, task: Node, reference: Callable[[Any], Any]) -> bytes:
        """Pickle one task for its worker.

        Args:
            assignment: What is to be done.
            task: The task, constructed here.
            reference: Gives, for an upstream, what stands for its result.

        Raises:
            TaskDefinitionError: The task's attributes cannot be pickled, or were changed after its construction.
        """
        check_unchanged(task)
        held = task.__dict__
        requirements = {
            name: convert(held[PRIVATE + name], reference) for name in task._task_config.requirements
        }
        body = (self._refs[type(task)], _attributes(task), requirements)
        return pickle.dumps((assignment, self._pickle(body, task)), 5)

    def _pickle(self, body: Any, task: Node) -> bytes:
        buffer = io.BytesIO()
        try:
            _ByName(buffer, self._found).dump(body)
            return buffer.getvalue()
        except (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError):
            pass
        import cloudpickle

        try:
            data: bytes = cloudpickle.dumps(body, 5)
        except Exception as error:
            msg = f"{task!r} cannot be pickled for its worker: {_culprit(task)}{type(error).__name__}: {error}"
            raise TaskDefinitionError(msg) from error
        return data

    def _write_bundle(self, classes: list[type]) -> str:
        """Write classes by value, with the other classes of their modules that they lean on."""
        import cloudpickle

        found: list[type] = []

        class Collecting(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
            def reducer_override(self, obj: Any) -> Any:
                if isinstance(obj, type) and obj.__module__ == "__main__" and obj not in found:
                    found.append(obj)
                return super().reducer_override(obj)

        buffer = io.BytesIO()
        try:
            pickler = Collecting(buffer, 5)
            pickler.dump({cls.__qualname__: cls for cls in classes})
            pickler.dump({cls.__qualname__: cls for cls in found if "." not in cls.__qualname__})
        except Exception as error:
            names = ", ".join(cls.__qualname__ for cls in classes[:3])
            msg = f"{names}: the class cannot be pickled for its workers: {type(error).__name__}: {error}"
            raise TaskDefinitionError(msg) from error
        self._found.update(found)
        path = f"{self._directory}/classes-{len(os.listdir(self._directory))}.pkl"
        with open(path, "wb") as file:
            file.write(buffer.getvalue())
        return path


def importable(obj: Any) -> bool:
    """Whether a fresh process can get this class or function by importing its module."""
    module = sys.modules.get(obj.__module__)
    if module is None or obj.__module__ == "__main__" or not _findable(module):
        return False
    found: Any = module
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj


class _ByName(pickle.Pickler):
    """Pickles by name, and gives up on what a fresh process could not look up."""

    def __init__(self, file: io.BytesIO, found: set[Any]) -> None:
        super().__init__(file, 5)
        self._found = found

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and obj not in self._found:
            if not importable(obj):
                raise pickle.PicklingError
            self._found.add(obj)
        return NotImplemented


def _attributes(task: Node) -> dict[str, Any]:
    get_state = getattr(type(task), "__getstate__", None)
    if get_state is None or get_state is getattr(object, "__getstate__", None):
        state = task.__dict__
    else:
        state = get_state(task)
    return {
        name: value for name, value in state.items() if name not in _NOT_ATTRIBUTES and not name.startswith(PRIVATE)
    }


def _culprit(task: Node) -> str:
    """Name the attribute that cannot be pickled, as the start of a sentence."""
    import cloudpickle

    for name, value in _attributes(task).items():
        try:
            cloudpickle.dumps(value, 5)
        except Exception:
            return f"self.{name} is a {type(value).__qualname__}: "
    return ""


def _findable(module: ModuleType) -> bool:
    top = module.__name__.partition(".")[0]
    if top not in _found_modules:
        spec = getattr(sys.modules.get(top), "__spec__", None)
        _found_modules[top] = spec is not None and any(
            finder.find_spec(top, None) is not None for finder in sys.meta_path if hasattr(finder, "find_spec")
        )
    return _found_modules[top] and getattr(module, "__spec__", None) is not None
