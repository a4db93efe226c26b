"""Inputs from outside: files, directories, variables of the environment, and packages that a task reads.

A task is named by what an input is called, and is fresh as long as what the input holds is the same. In `run_task` an
input reads as what it stands for: a path, the value of a table, text. It becomes that where a worker unpickles the
task; everywhere else it stays what it is, so that it can be passed on to other tasks.
"""
from __future__ import annotations

import os
import sys

from ..base.errors import InputError, TaskDefinitionError
from ..base.lean import ContextVar, Generic, cast, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from builtins import str as _Text
    from collections.abc import Mapping
    from pathlib import Path
    from pathlib import Path as _Path
    from typing import Any, NoReturn

    from typing_extensions import Self, TypeVar

    R = TypeVar("R", covariant=True, default=Path)
    T = TypeVar("T")
    Spec = tuple[Any, ...]  # the kind, the name, and what else was said: a key, or a default
else:
    from ..base.lean import TypeVar

    R = TypeVar("R")
    Spec = tuple

    class _Path:
        """What type checkers take for a path."""

        __slots__ = ()

    class _Text:
        """What type checkers take for text."""

        __slots__ = ()

TABLES = (".json", ".toml", ".yaml", ".yml")
_ENVIRONMENT = "env"

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
        return of_spec, (self._spec,)

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


class _Valued(Input[R]):
    """What has a value in `run_task` only: in `__init__` it is not known yet what that will be."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __hash__ = Input.__hash__

        def __eq__(self, other):
            if isinstance(other, (str, int, float)) and not self._is_path():
                raise self._too_early()
            return Input.__eq__(self, other)

        def __getattr__(self, name):
            raise AttributeError(name if name[:1] == "_" else str(self._too_early()))

    def _is_path(self) -> bool:
        return self._spec[0] in ("file", "dir") and len(self._spec) == 2

    def _too_early(self) -> TaskDefinitionError:
        msg = f"{self!r} reads as its value in run_task only: elsewhere it is not known yet what that will be"
        return TaskDefinitionError(msg)


class InputFile(_Path, _Valued[R]):
    """A file that a task reads: in `run_task` it is its path, as written; with `key`, the value of that table.

    Args:
        path: The file; a relative path starts from the working directory of whoever runs the graph, as in `open`.
        key: The name of a table, or of any value, in a JSON, TOML or YAML file: `train`, or `train.optimizer`.

    Raises:
        TaskDefinitionError: The path is none, or a key is given of a file of another kind.

    Example:
        >>> from taskproc import TaskBase
        >>> class Lines(TaskBase):
        ...     def __init__(self, table: InputFile):
        ...         self.table = table
        ...     def run_task(self) -> int:
        ...         return len(self.table.read_text().splitlines())
        >>> Lines("in.csv")
        Lines(table='in.csv')
    """

    if TYPE_CHECKING:

        @overload
        def __init__(self: InputFile[Path], path: str | os.PathLike[str]) -> None: ...
        @overload
        def __init__(self: InputFile[Any], path: str | os.PathLike[str], key: str) -> None: ...
        def __init__(self, path: Any, key: Any = None) -> None: ...

    else:
        __slots__ = ()

        def __init__(self, path, key=None):
            name = _checked_path(self, path)
            if key is None:
                return _set(self, "file", name)
            if not isinstance(key, str) or not key:
                msg = f"InputFile({name!r}, key={key!r}): key is no name; give that of a table, such as 'train'"
                raise TaskDefinitionError(msg)
            if not name.lower().endswith(TABLES):
                msg = f"InputFile({name!r}, key={key!r}): a key is looked up in files named {', '.join(TABLES)} only"
                raise TaskDefinitionError(msg)
            return _set(self, "file", name, key)

        def __fspath__(self):
            return _path_of(self)

        __str__ = __fspath__

        def __truediv__(self, other):
            return _pathlib(self) / other

        def __getattr__(self, name):
            if name[:1] == "_" or not self._is_path():
                return _Valued.__getattr__(self, name)
            return getattr(_pathlib(self), name)

        def __taskproc_readable__(self):
            return "".join([self._spec[1], *(f"[{key}]" for key in self._spec[2:])])

    def _more(self, more: list[Any]) -> list[str]:
        return [f"key={key!r}" for key in more]


class InputDir(_Path, _Valued["Path"]):
    """A directory that a task reads, with all files below it: in `run_task` it is its path, as written.

    The names and the contents of all files count, hidden ones and those behind links, too, and the names of empty
    directories. Times and permissions do not.

    Args:
        path: The directory; a relative path starts from the working directory of whoever runs the graph.

    Raises:
        TaskDefinitionError: The path is none.
    """

    if TYPE_CHECKING:

        def __init__(self, path: str | os.PathLike[str]) -> None: ...

    else:
        __slots__ = ()

        def __init__(self, path):
            _set(self, "dir", _checked_path(self, path))

        __fspath__ = InputFile.__fspath__
        __str__ = __fspath__
        __truediv__ = InputFile.__truediv__
        __getattr__ = InputFile.__getattr__
        __taskproc_readable__ = InputFile.__taskproc_readable__


class EnvVar(_Text, _Valued[str]):
    """A variable of the environment that a task reads: in `run_task` it is its text.

    A worker that runs as a process of its own has it in `os.environ`, too, as it was where the graph was run.

    Args:
        name: The variable.
        default: What it stands for where it is not set; without one, that is an error before the task runs.

    Raises:
        TaskDefinitionError: This is no name.
    """

    if TYPE_CHECKING:

        def __new__(cls, name: str, default: str | None = None) -> Self: ...

    else:
        __slots__ = ()

        def __init__(self, name, default=...):
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                msg = f"EnvVar({name!r}): that is no name of a variable of the environment"
                raise TaskDefinitionError(msg)
            if default is not ... and default is not None and not isinstance(default, str):
                msg = f"EnvVar({name!r}, default={default!r}): variables hold text; give text, or None"
                raise TaskDefinitionError(msg)
            _set(self, _ENVIRONMENT, name, *(() if default is ... else (default,)))

    def _more(self, more: list[Any]) -> list[str]:
        return [f"default={default!r}" for default in more]


class Package(_Text, _Valued[str]):
    """An installed package that a task uses: in `run_task` it is its version, as text.

    Args:
        name: The package as it is installed, `scikit-learn`, or as it is imported, `sklearn`.

    Raises:
        TaskDefinitionError: This is no name.
    """

    if TYPE_CHECKING:

        def __init__(self, name: str) -> None: ...

    else:
        __slots__ = ()

        def __init__(self, name):
            if not isinstance(name, str) or not name.replace("-", "_").replace(".", "_").isidentifier():
                msg = f"Package({name!r}): that is no name of a package; give it as text, such as 'numpy'"
                raise TaskDefinitionError(msg)
            _set(self, "package", name)


KINDS: tuple[Any, ...] = (InputFile, InputDir, EnvVar, Package)
_OF_KIND: dict[str, Any] = {"file": InputFile, "dir": InputDir, _ENVIRONMENT: EnvVar, "package": Package}


def of_spec(spec: Spec) -> Input[Any]:
    """Make an input of what it is called."""
    kind, *said = spec
    made: Input[Any] = _OF_KIND[kind](*said)
    return made


def spec_of(one: Input[Any]) -> Spec:
    """Give what an input is called: its kind, its name, and what else was said."""
    return one._spec


def as_read(spec: Spec) -> Any:
    """Give what an input stands for in the task that runs here; called where the task is unpickled.

    Raises:
        InputError: It is none of the task's, as far as could be seen.
    """
    known = handed.get()
    if known is None or spec not in known:
        msg = (
            f"{of_spec(spec)!r} is inside of an object that taskproc does not look into, so nobody would notice when "
            "it changes; pass it as an argument, or name it in depends_on"
        )
        raise InputError(msg)
    return known[spec]


def inputs_in(values: Any) -> tuple[Input[Any], ...]:
    """Give the inputs among values, and inside of them, each once."""
    if not made.any:
        return ()
    from .taken import PLAIN, inside

    found = [part for value in values if type(value) not in PLAIN for part in inside(value) if isinstance(part, Input)]
    return tuple(dict.fromkeys(found))


def _set(one: Any, *spec: Any) -> None:
    made.any = True
    object.__setattr__(one, "_spec", spec)


def _checked_path(one: Any, path: Any) -> str:
    """Accept a path as text or as an object."""
    kind = type(one).__name__
    if isinstance(path, Input):
        if type(path) is type(one) and len(path._spec) == 2:
            return cast("str", path._spec[1])
        msg = f"{kind}({path!r}): give the path itself"
        raise TaskDefinitionError(msg)
    name = path if isinstance(path, str) else os.fspath(path) if isinstance(path, os.PathLike) else None
    if not isinstance(name, str) or not name or "\0" in name:
        msg = f"{kind}({path!r}): that is no path; give one as text, such as 'data/in.csv', or as a pathlib.Path"
        raise TaskDefinitionError(msg)
    if name.partition(":/")[0].isalnum() and ":/" in name[2:]:
        msg = f"{kind}({name!r}): that is an address, and only what can be opened here as a file is an input"
        raise TaskDefinitionError(msg)
    return name


def _path_of(one: Input[Any]) -> str:
    """Give the path of a file or directory, unless a task reads it here that does not say so."""
    if len(one._spec) > 2:
        raise cast("Any", one)._too_early()
    known = handed.get()
    if known is not None and one._spec not in known and not _is_constructing():
        msg = (
            f"run_task reads {one!r}, which is no input of this task, so nobody would notice when it changes; pass it "
            "as an argument, or write depends_on=[...] behind TaskBase in the class statement"
        )
        raise InputError(msg)
    return cast("str", one._spec[1])


def _pathlib(one: Any) -> Any:
    from pathlib import Path

    return Path(_path_of(one))


def _is_constructing() -> bool:
    """Whether a constructor runs here: that of a task which another one runs, for example."""
    construction = sys.modules.get("taskproc.tasks.construction")
    return construction is not None and construction._building.get() is not None
