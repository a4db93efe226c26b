"""What a task needs from others: requirements, constants, and parts of an upstream's result."""
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, starmap

from ..base.errors import TaskDefinitionError
from ..base.lean import Generic, TypeVar, cast, overload
from .substitutes import Const, MappedTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .protocols import Task

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R", covariant=True)

PRIVATE = "_requires__"
# What gives tasks only once, or is a view of them: it is turned into a list.
_ITERATORS: tuple[Any, ...] = (
    iter([]), reversed([]), iter(()), iter({}), iter({}.values()), {}.keys(), {}.values(), (_ for _ in ())
)
AS_A_LIST = frozenset((chain, filter, islice, map, reversed, starmap, *map(type, _ITERATORS)))
_PLAIN_KEYS = frozenset((str, int))


class Req(Generic[T, R]):
    """A requirement: holds a task, or a list or dict of tasks; reading it gives their results.

    Declared by annotation (`counts: Requires[int]`), it is made for the class by `TaskBase`; `count = Req()`, as in
    taskproc 0.13, does the same. In `__init__`, where there are no results yet, reading it gives the task, the list or
    the dict that it was set to, for instance to append another task. After that it is fixed.

    Raises:
        AttributeError: It was read before it was set.
        TaskDefinitionError: It was set after `__init__`.
        ResultNotFoundError: It was read where its tasks have not run yet.
    """

    default: Any = None  # what the class body sets it to

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "default": convert(self.default, _Recipe.of)}

    def fresh_default(self) -> Any:
        """Give what the class body sets it to, for one task of the class: a list or dict of its own."""
        return convert(self.default, _Recipe.carried_out)

    def __set_name__(self, owner: Any, name: str) -> None:
        self.public_name = name
        self.private_name = PRIVATE + name

    def __set__(self, obj: Any, value: T) -> None:
        held = obj.__dict__
        if held["_task"].sequence >= 0:
            name = f"{type(obj).__qualname__}.{self.public_name}"
            msg = f"{name} is a requirement, which is set in __init__ and not later; to require something else, make "
            raise TaskDefinitionError(f"{msg}another task")
        held[self.private_name] = list(cast("Iterator[Any]", value)) if type(value) in AS_A_LIST else value

    @overload
    def __get__(self, obj: None, owner: Any = None) -> Req[T, R]: ...
    @overload
    def __get__(self, obj: Any, owner: Any = None) -> R: ...
    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self
        held = obj.__dict__
        try:
            value = held[self.private_name]
        except KeyError:
            raise AttributeError(f"{type(obj).__name__}.{self.public_name} is not set yet") from None
        return value if held["_task"].sequence < 0 else resolve(value)


if TYPE_CHECKING:
    Requires = Req[Task[R], R]
    RequiresList = Req[Sequence[Task[R]], list[R]]
    RequiresDict = Req[Mapping[K, Task[R]], dict[K, R]]
else:

    class Requires(Req):
        """One task.

        `count: Requires[int]` is set to a `Task[int]` in `__init__`, and is an `int` in `run_task`.
        """

    class RequiresList(Req):
        """A list of tasks.

        `counts: RequiresList[int]` is set to a list of `Task[int]`, and is a `list[int]` in `run_task`.
        """

    class RequiresDict(Req):
        """A dict of tasks.

        `named: RequiresDict[str, int]` is set to a dict from `str` to `Task[int]`, and is a `dict[str, int]` in
        `run_task`.
        """


def resolve(held: Any) -> Any:
    """Turn what a requirement holds into results."""
    if isinstance(held, (list, tuple)):
        return [item.get_task_result() for item in held]
    if isinstance(held, dict):
        return {key: item.get_task_result() for key, item in held.items()}
    return held.get_task_result()


def parts(held: Any) -> Iterator[tuple[str | None, Any]]:
    """List what a requirement holds as (key, task, part of a task, or constant); the key of a single one is None.

    A dict's items come sorted, so that one built from a set is the same in every process. (Keys without an identity
    come as they are.)
    """
    if isinstance(held, (list, tuple)):
        for position, item in enumerate(held):
            yield str(position), item
    elif isinstance(held, dict):
        for name, key in _named_keys(held):
            yield name, held[key]
    else:
        yield None, held


class _Recipe:
    """Stands for a task of a class body where the class travels by value: there the task is constructed anew."""

    def __init__(self, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs

    @staticmethod
    def of(task: Any) -> Any:
        bound = getattr(getattr(task, "_task", None), "bound", None)
        return task if bound is None else _Recipe(type(task), *task._task_config.binder.call(bound))

    @staticmethod
    def carried_out(task: Any) -> Any:
        return task.cls(*task.args, **task.kwargs) if isinstance(task, _Recipe) else task


def _named_keys(held: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    if _PLAIN_KEYS.issuperset(map(type, held)):
        return sorted([(str(key), key) for key in held], key=lambda named: (named[0], type(named[1]).__name__))
    from .arguments import in_order
    from .readable import readable

    try:
        return [(str(readable(key)), key) for key in in_order(held)]
    except TaskDefinitionError:
        return [(str(key), key) for key in held]


def convert(held: Any, change: Any) -> Any:
    """Give the same shape with every task in it replaced by `change(task)`; constants stay."""
    if isinstance(held, (list, tuple)):
        return [convert(item, change) for item in held]
    if isinstance(held, dict):
        return {key: convert(item, change) for key, item in held.items()}
    if isinstance(held, MappedTask):
        return MappedTask(convert(held.task, change), held.key)
    if isinstance(held, Const):
        return held
    return change(held)


def declared_requirements(cls: type, frame_depth: int) -> list[str]:
    """Name the requirements that a class body declares by annotation.

    Only the outermost name of an annotation is evaluated, so that `Requires[OnlyForTypeCheckers]` is fine, as are
    annotations turned into text by `from __future__ import annotations`.
    """
    annotations = _own_annotations(cls)
    if not annotations:
        return []
    frame = sys._getframe(frame_depth + 1)
    module = sys.modules.get(cls.__module__)
    scopes = [getattr(module, "__dict__", {}), frame.f_globals, frame.f_locals, cls.__dict__]
    return [name for name, annotation in annotations.items() if _is_requirement(annotation, scopes)]


def _own_annotations(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    own: dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 (there is no better one before 3.14)
    return own


def _is_requirement(annotation: Any, scopes: Sequence[Mapping[str, Any]]) -> bool:
    if not isinstance(annotation, str):
        annotation = getattr(annotation, "__forward_arg__", annotation)
    if not isinstance(annotation, str):
        return _is_req(annotation)
    head, *attributes = annotation.strip("'\" ").partition("[")[0].strip().split(".")
    for scope in scopes:
        if head in scope:
            found = scope[head]
            for attribute in attributes:
                found = getattr(found, attribute, None)
            return _is_req(found)
    return (attributes or [head])[-1] in ("Requires", "RequiresList", "RequiresDict", "Req")


def _is_req(annotation: Any) -> bool:
    """Whether this is `Req` or one of its kinds, subscripted or not."""
    return Req in getattr(getattr(annotation, "__origin__", annotation), "__mro__", ())


def not_a_task(owner: str, name: str, key: str | None, value: Any) -> TaskDefinitionError:
    """Say that a requirement holds something that is not a task."""
    place = f"{owner}.{name}" + (f"[{key}]" if key is not None else "")
    return TaskDefinitionError(f"{place} is {shown(value)}, which is not a task; {way_out(value)}.")


def way_out(value: Any) -> str:
    """Say what to do with something that is not a task and stands where one is asked for."""
    if isinstance(value, type):
        return "call it to make a task"
    if isinstance(value, (set, frozenset)):
        return "a set has no order, so put the tasks into a list"
    if isinstance(value, (list, tuple, dict)):
        return "put all tasks into one list, or into one dict, with keys such as (i, j)"
    if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
        return "put the tasks into a list or a dict"
    return "wrap a fixed value as Const(value)"


def shown(value: Any) -> str:
    """Write a value for an error, with its type, since it is not of the right one."""
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} (of type {type(value).__name__})"
