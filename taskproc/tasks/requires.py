"""What a task needs from others: requirements, constants, and parts of an upstream's result."""
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from ..base.errors import TaskDefinitionError
from ..base.lean import Generic, TypeVar, overload
from .substitutes import Const, MappedTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .protocols import Task

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R", covariant=True)

PRIVATE = "_requires__"


class Req(Generic[T, R]):
    """A requirement: holds a task, or a list or dict of tasks; reading it gives their results.

    Declared by annotation (`counts: Requires[int]`), it is made for the class by `TaskBase`; `count = Req()`, as in
    taskproc 0.13, does the same.

    Raises:
        AttributeError: It was read before it was set.
        ResultNotFoundError: It was read where its tasks have not run yet, such as in `__init__`.
    """

    def __set_name__(self, owner: Any, name: str) -> None:
        self.public_name = name
        self.private_name = PRIVATE + name

    def __set__(self, obj: Any, value: T) -> None:
        obj.__dict__[self.private_name] = value

    @overload
    def __get__(self, obj: None, owner: Any = None) -> Req[T, R]: ...
    @overload
    def __get__(self, obj: Any, owner: Any = None) -> R: ...
    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self
        try:
            held = obj.__dict__[self.private_name]
        except KeyError:
            raise AttributeError(f"{type(obj).__name__}.{self.public_name} is not set yet") from None
        return resolve(held)


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

    A dict's items come sorted, so that one built from a set is the same in every process.
    """
    if isinstance(held, (list, tuple)):
        for position, item in enumerate(held):
            yield str(position), item
    elif isinstance(held, dict):
        for key in sorted(held, key=str):
            yield str(key), held[key]
    else:
        yield None, held


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
    hint = "call it to make a task" if isinstance(value, type) else "wrap a fixed value as Const(value)"
    msg = f"{place} is {_shown(value)}, which is not a task; {hint}."
    return TaskDefinitionError(msg)


def _shown(value: Any) -> str:
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} (of type {type(value).__name__})"
