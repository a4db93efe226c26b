"""Tasks written down so that another process constructs them anew: by class and arguments, not by what they hold."""
from __future__ import annotations

import io
import sys

from ..base.errors import TaskDefinitionError, TaskprocError
from ..base.lean import pickle
from .node import Node, TaskRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any


def write_down(tasks: Sequence[Node]) -> bytes:
    """Write down how to construct tasks, those among their arguments as well.

    Raises:
        TaskDefinitionError: A task among the arguments was not constructed in this process.
        Exception: An argument cannot be pickled.
    """
    buffer = io.BytesIO()
    _Recipes(buffer, 5).dump(tasks)
    return buffer.getvalue()


def construct_anew(recipes: bytes, names: Iterable[str]) -> list[Node]:
    """Construct tasks that were written down.

    Args:
        recipes: How to construct them.
        names: The names of their classes.

    Raises:
        Exception: A class is not there, or a constructor fails.
    """
    tasks: list[Node] = _Cook(recipes, names).load()
    return tasks


class _Recipes(pickle.Pickler):
    """Pickles a task as the call that constructs it."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and issubclass(obj, Node):  # once, however many tasks it has
            return class_named, (obj._task_config.name, obj.__module__, obj.__qualname__)
        if not isinstance(obj, Node):
            return NotImplemented
        record = obj._task
        if not isinstance(record, TaskRecord):
            msg = f"{obj!r}, an argument of a task that is to be constructed anew, came from another process"
            raise TaskDefinitionError(msg)
        args, kwargs = obj._task_config.binder.call(record.bound)
        return (construct, (type(obj), args, kwargs)) if kwargs else (type(obj), args)


class _Cook(pickle.Unpickler):
    """Constructs the tasks of recipes, also those of a script that ran as `__main__` and was imported now.

    Args:
        recipes: How to construct them.
        names: The names of their classes.
    """

    def __init__(self, recipes: bytes, names: Iterable[str]) -> None:
        super().__init__(io.BytesIO(recipes))
        self._names = frozenset(names)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except AttributeError:
            if module != "__main__":
                raise
            used = {cls.__module__ for cls in defined_tasks() if cls._task_config.name in self._names}
            for other in sorted(used & sys.modules.keys()):
                try:
                    return super().find_class(other, name)
                except AttributeError:
                    continue
            raise


def construct(cls: Callable[..., Node], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Node:
    """Construct a task with named arguments."""
    return cls(*args, **kwargs)


def class_named(name: str, module: str, qualname: str) -> Callable[..., Node]:
    """Find a task class: in its module, or among all that are defined here, or by importing the module.

    Raises:
        TaskprocError: There is none of that name.
    """
    cls = _at(module, qualname, name) or next((one for one in defined_tasks() if one._task_config.name == name), None)
    if cls is None and module != "__main__":
        __import__(module)
        cls = _at(module, qualname, name)
    if cls is None:
        msg = f"there is no task class {name} here"
        raise TaskprocError(msg)
    return cls


def _at(module: str, qualname: str, name: str) -> type[Node] | None:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    is_it = isinstance(found, type) and issubclass(found, Node) and found._task_config.name == name
    return found if is_it else None


def defined_tasks() -> Iterable[type[Node]]:
    """Give all task classes that are defined in this process, of those with one name the last one first."""
    waiting = [Node]
    for cls in waiting:  # which grows
        waiting += cls.__subclasses__()
    return [cls for cls in reversed(waiting) if "_task_config" in cls.__dict__]
