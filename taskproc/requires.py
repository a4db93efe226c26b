"""What a task needs from others: requirements, constants, and parts of an upstream's result."""
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from .errors import TaskDefinitionError
from .lean import Generic, TypeVar, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from .protocols import Task

K = TypeVar("K")
S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R", covariant=True)

PRIVATE = "_requires__"


class Const(Generic[R]):
    """A fixed value where a task is asked for.

    Args:
        value: Of a type that an argument of a task may have.

    Example:
        >>> Const(3).get_task_result()
        3
    """

    __slots__ = ("value",)
    value: R

    def __init__(self, value: R) -> None:
        object.__setattr__(self, "value", value)

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"a Const cannot be changed; make another one than {self!r}"
        raise AttributeError(msg)

    def __reduce__(self) -> tuple[Any, ...]:
        return Const, (self.value,)

    def __eq__(self, other: object) -> bool:
        return type(other) is Const and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((Const, self.value))

    def __repr__(self) -> str:
        return f"Const(value={self.value!r})"

    def get_task_result(self) -> R:
        """Give the value."""
        return self.value

    def __taskproc_identity__(self) -> Any:
        from .arguments import const_identity

        return const_identity(self.value)

    def __taskproc_readable__(self) -> Any:
        from .arguments import readable

        return {"__const__": readable(self.value)}


class MappedTask(Generic[R]):
    """A part of an upstream's result, as `task['key'][0]` gives it."""

    __slots__ = ("key", "task")
    __iter__: ClassVar[None] = None  # having __getitem__, it would be taken for an endless sequence

    def __init__(self, task: Any, key: Any) -> None:
        self.task = task
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedTask, (self.task, self.key)

    def __repr__(self) -> str:
        return f"{self.task!r}[{self.key!r}]"

    def get_origin(self) -> Any:
        """Give the task whose result this is a part of."""
        origin = self.task
        while isinstance(origin, MappedTask):
            origin = origin.task
        return origin

    def get_args(self) -> list[Any]:
        """Give the keys, outermost first."""
        keys, at = [], self
        while isinstance(at, MappedTask):
            keys.append(at.key)
            at = at.task
        return keys[::-1]

    def get_task_result(self) -> R:
        """Take the part out of the upstream's result.

        Raises:
            LookupError: The result has no such part.
            ResultNotFoundError: The upstream has no result yet.
        """
        value = self.get_origin().get_task_result()
        for key in self.get_args():
            try:
                value = value[key]
            except (LookupError, TypeError) as error:
                msg = f"{self!r}: the result of {self.get_origin()!r} has no {key!r} ({type(error).__name__}: {error})"
                raise LookupError(msg) from error
        part: R = value
        return part

    def __taskproc_identity__(self) -> Any:
        from .arguments import const_identity

        return [self.get_origin().__taskproc_identity__(), const_identity(self.get_args())]

    def __taskproc_readable__(self) -> Any:
        return {**self.get_origin().__taskproc_readable__(), "__key__": self.get_args()}

    @overload
    def __getitem__(self: MappedTask[Sequence[T]], key: int) -> MappedTask[T]: ...
    @overload
    def __getitem__(self: MappedTask[Mapping[K, T]], key: K) -> MappedTask[T]: ...
    def __getitem__(self, key: Any) -> MappedTask[Any]:
        return MappedTask(self, key)


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
