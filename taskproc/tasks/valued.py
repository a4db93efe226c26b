"""What stands for something outside until its task runs: the base of all kinds of inputs."""
from __future__ import annotations

import sys

from ..base.errors import InputError, TaskDefinitionError
from ..base.lean import ContextVar, Generic, cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, NoReturn

    from typing_extensions import TypeVar

    R = TypeVar("R", covariant=True, default=Path)
    Spec = tuple[Any, ...]  # the kind, the name, and what else was said: a key, or a default
else:
    from ..base.lean import TypeVar

    R = TypeVar("R")
    Spec = tuple

# What the inputs of the task that runs here stand for; None where no task runs.
handed: ContextVar[Mapping[Spec, Any] | None] = ContextVar("taskproc_inputs", default=None)


class _Made:
    """Whether this process has any inputs at all: without, nobody needs to look for them in arguments."""

    any = False


made = _Made()


class Input(Generic[R]):
    """What a task reads from outside."""

    if TYPE_CHECKING:
        _spec: Spec

        def get_task_result(self) -> R: ...

    else:
        __slots__ = ("_spec",)

    def __reduce__(self) -> tuple[Any, ...]:
        return made_anew, (type(self), self._spec)

    def __copy__(self) -> Input[R]:
        return self

    def __deepcopy__(self, memo: Any) -> Input[R]:
        return self

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        msg = f"{self!r} cannot be changed; make another one"
        raise AttributeError(msg)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Input) and self._spec == other._spec

    def __hash__(self) -> int:
        return hash(self._spec)

    def __repr__(self) -> str:
        _, name, *more = self._spec
        return f"{type(self).__name__}({', '.join([repr(name), *self._more(more)])})"

    def _more(self, more: list[Any]) -> list[str]:
        return []

    def __taskproc_identity__(self) -> Any:
        from .arguments import identity

        return {"input": [identity(part) for part in self._spec]}

    def __taskproc_readable__(self) -> Any:
        return repr(self)


class Valued(Input[R]):
    """What has a value in `run_task` only: in `__init__` it is not known yet what that will be."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __hash__ = Input.__hash__

        def __eq__(self, other):
            if isinstance(other, (str, int, float)) and not self.is_path():
                raise self.too_early()
            return Input.__eq__(self, other)

        def __bool__(self):
            if not self.is_path():
                raise self.too_early()
            return True

        def __format__(self, how):
            if not self.is_path():
                raise self.too_early()
            return format(str(self), how)

        def __getattr__(self, name):
            raise AttributeError(name if name[:1] == "_" else str(self.too_early()))

    def is_path(self) -> bool:
        """Whether it reads as a path, which is the same everywhere."""
        return self._spec[0] in ("file", "dir") and len(self._spec) == 2

    def too_early(self) -> TaskDefinitionError:
        """Say that its value was asked for where there is none."""
        msg = f"{self!r} reads as its value in run_task only: elsewhere it is not known yet what that will be"
        return TaskDefinitionError(msg)


def spec_of(one: Input[Any]) -> Spec:
    """Give what an input is called: its kind, its name, and what else was said."""
    return one._spec


def made_anew(kind: Any, spec: Spec) -> Any:
    """Make an input of a kind once more."""
    return kind(*spec[1:])


def inputs_in(values: Any) -> tuple[Input[Any], ...]:
    """Give the inputs among values, and inside of them, each once."""
    if not made.any:
        return ()
    from .taken import PLAIN, inside

    found = [part for value in values if type(value) not in PLAIN for part in inside(value) if isinstance(part, Input)]
    return tuple(dict.fromkeys(found))


def name_input(one: Any, *spec: Any) -> None:
    """Let an input be called what it is called from now on."""
    made.any = True
    object.__setattr__(one, "_spec", spec)


def path_of(one: Valued[Any]) -> str:
    """Give the path of a file or directory, unless a task reads it here that does not say so."""
    name = cast("str", one._spec[1])
    if len(one._spec) > 2:
        raise one.too_early()
    known = handed.get()
    if known is not None and one._spec not in known and not _is_constructing():
        msg = (
            f"run_task reads {one!r}, which is no input of this task, so nobody would notice when it changes; pass it "
            "as an argument, or write depends_on=[...] behind TaskBase in the class statement"
        )
        raise InputError(msg)
    return name


def pathlib_of(one: Any) -> Any:
    """Give the path of a file or directory as an object, likewise."""
    from pathlib import Path

    return Path(path_of(one))


def _is_constructing() -> bool:
    """Whether a constructor runs here: that of a task which another one runs, for example."""
    construction = sys.modules.get("taskproc.tasks.construction")
    return construction is not None and construction._building.get() is not None
