"""What may stand where a task is asked for: a fixed value, or a part of a task's result."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base.lean import Generic, TypeVar, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R", covariant=True)


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
        from .readable import readable

        return {"__const__": readable(self.value)}

    def __taskproc_taken__(self, depth: int) -> Const[R]:
        from .taken import taken

        value = taken(self.value, depth)
        return self if value is self.value else Const(value)

    def __taskproc_inside__(self) -> list[Any]:
        return [self.value]


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

    def __taskproc_taken__(self, depth: int) -> MappedTask[R]:
        from .taken import taken

        key = taken(self.get_args(), depth)
        mapped: Any = self.get_origin()
        for step in key:
            mapped = MappedTask(mapped, step)
        return mapped  # type: ignore[no-any-return]  # there is at least one step

    def __taskproc_inside__(self) -> list[Any]:
        return [self.get_origin(), *self.get_args()]

    @overload
    def __getitem__(self: MappedTask[Sequence[T]], key: int) -> MappedTask[T]: ...
    @overload
    def __getitem__(self: MappedTask[Mapping[K, T]], key: K) -> MappedTask[T]: ...
    def __getitem__(self, key: Any) -> MappedTask[Any]:
        return MappedTask(self, key)
