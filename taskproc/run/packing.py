"""Packing for the hand-over, in the driver: one task's class, attributes and light references, pickled.

What a fresh process can import goes by name. So does what the driver's `__main__` defines, which a worker reads from
files that are written once per run (`main_bundle`); all else, such as a class made in a function, goes by value.
"""
from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..base.errors import TaskDefinitionError
from ..base.naming import name_in_main
from ..base.telling import told
from ..tasks.inputs import as_read
from ..tasks.requires import PRIVATE, convert
from ..tasks.settled import check_unchanged
from ..tasks.source.pieces import NOTHING_BESIDE, Beside
from ..tasks.valued import Input, spec_of
from ..work.handover import Assignment, ClassRef, register_here, this_process
from .importing import importable

if TYPE_CHECKING:
    from ..tasks.node import Node
    from .main_bundle import MainBundle

_NOT_ATTRIBUTES = ("_task", "__orig_class__")


class Packer:
    """Makes the payloads of one run.

    Args:
        directory: The run's directory, where bundles go.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._refs: dict[type, ClassRef] = {}
        self._found: set[Any] = set()  # what a worker can look up, as far as it was asked for
        self._bundle: MainBundle | None = None
        self._lock = threading.Lock()

    def register(self, classes: Iterable[type], beside: Beside) -> None:
        """Prepare the classes whose tasks, or whose results, will travel.

        Args:
            classes: The classes.
            beside: What they make use of besides what an import gives a worker.

        Raises:
            TaskDefinitionError: They cannot be pickled.
        """
        by_value = {}
        for cls in classes:
            token = register_here(cls)
            nameless = not importable(cls)
            if nameless:
                by_value[token] = cls
            in_bundle = nameless and not name_in_main(cls)
            self._refs[cls] = ClassRef(cls.__module__, cls.__qualname__, token, in_bundle)
        if by_value or beside.subclasses or beside.changes or beside.modules:
            self._begin(by_value, beside)

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
        body = self._pickle((self._refs[type(task)], _attributes(task), requirements), task)
        if self._bundle is not None:
            assignment = assignment._replace(main=(this_process(), *self._bundle.files))
        return pickle.dumps((assignment, body), 5)

    def _pickle(self, body: Any, task: Node) -> bytes:
        buffer = io.BytesIO()
        pickler = _ByName(buffer, self._found)
        try:
            pickler.dump(body)
            data, names = buffer.getvalue(), pickler.of_main
        except (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError):
            try:
                data, names = _dumps_linked(body)
            except Exception as error:
                msg = f"{task!r} cannot be pickled for its worker: {_culprit(task)}{told(error)}"
                raise TaskDefinitionError(msg) from error
        self._need(names)
        return data

    def _begin(self, classes: dict[str, type], beside: Beside) -> MainBundle:
        from .main_bundle import MainBundle

        bundle = MainBundle(self._directory)
        try:
            bundle.begin(classes, beside)
        except Exception as error:
            names = ", ".join(cls.__qualname__ for cls in list(classes.values())[:3])
            msg = f"{names or 'the script'}: what it defines cannot be pickled for its workers: {told(error)}"
            raise TaskDefinitionError(msg) from error
        self._bundle = bundle
        return bundle

    def _need(self, names: set[str]) -> None:
        """See to it that what a task needs of `__main__` is in the bundle."""
        if names:
            with self._lock:
                bundle = self._bundle or self._begin({}, NOTHING_BESIDE)
            bundle.need(names)


class _ByName(pickle.Pickler):
    """Pickles by name, and gives up on what a worker could not look up."""

    def __init__(self, file: io.BytesIO, found: set[Any]) -> None:
        super().__init__(file, 5)
        self.of_main: set[str] = set()
        self._found = found

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)):
            if obj not in self._found:
                self._look_up(obj)
        elif isinstance(obj, Input):
            return as_read, (spec_of(obj),)
        elif getattr(obj, "__module__", None) == "__main__" and (name := name_in_main(obj)):
            self.of_main.add(name.partition(".")[0])  # such as a function with a cache
        return NotImplemented

    def _look_up(self, obj: Any) -> None:
        if importable(obj):
            self._found.add(obj)
        elif name := name_in_main(obj):
            self.of_main.add(name.partition(".")[0])
        else:
            raise pickle.PicklingError


def _dumps_linked(body: Any) -> tuple[bytes, set[str]]:
    """Pickle by value what has no name, and give the names in `__main__` that this needs."""
    from .by_value import Linked

    class LinkedBody(Linked):
        def reducer_override(self, obj: Any) -> Any:
            return (as_read, (spec_of(obj),)) if isinstance(obj, Input) else super().reducer_override(obj)

    names: set[str] = set()

    def by_name(name: str) -> bool:
        names.add(name.partition(".")[0])
        return True

    def use(used: Any) -> dict[str, Any]:
        names.update(used)
        return {}

    buffer = io.BytesIO()
    LinkedBody(buffer, by_name, use).dump(body)
    return buffer.getvalue(), names


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
    for name, value in _attributes(task).items():
        try:
            _dumps_linked(value)
        except Exception:
            return f"self.{name} is a {type(value).__qualname__}: "
    return ""
