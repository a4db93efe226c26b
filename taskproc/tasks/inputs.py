"""Inputs from outside: files, directories, variables of the environment, and packages that a task reads.

A task is named by what an input is called, and is fresh as long as what the input holds is the same. In `run_task` an
input reads as what it stands for: a path, the value of a table, text. It becomes that where a worker unpickles the
task; everywhere else it stays what it is, so that it can be passed on to other tasks.
"""
from __future__ import annotations

import os

from ..base.errors import InputError, TaskDefinitionError
from ..base.lean import cast, overload
from .valued import Input, Spec, Valued, handed, name_input, path_of, pathlib_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from builtins import str as _Text
    from pathlib import Path
    from pathlib import Path as _Path
    from typing import Any

    from typing_extensions import Self, TypeVar

    R = TypeVar("R", covariant=True, default=Path)
else:
    from ..base.lean import TypeVar

    R = TypeVar("R")

    class _Path:
        """What type checkers take for a path."""

        __slots__ = ()

    class _Text:
        """What type checkers take for text."""

        __slots__ = ()

TABLES = (".json", ".toml", ".yaml", ".yml")
_ENVIRONMENT = "env"

class InputFile(_Path, Valued[R]):
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
                return name_input(self, "file", name)
            if not isinstance(key, str) or not key:
                msg = f"InputFile({name!r}, key={key!r}): key is no name; give that of a table, such as 'train'"
                raise TaskDefinitionError(msg)
            if not name.lower().endswith(TABLES):
                msg = f"InputFile({name!r}, key={key!r}): a key is looked up in files named {', '.join(TABLES)} only"
                raise TaskDefinitionError(msg)
            return name_input(self, "file", name, key)

        def __fspath__(self):
            return path_of(self)

        def __str__(self):
            return path_of(self) if self.is_path() else repr(self)

        def __truediv__(self, other):
            return pathlib_of(self) / other

        def __getattr__(self, name):
            if name[:1] == "_" or not self.is_path():
                return Valued.__getattr__(self, name)
            return getattr(pathlib_of(self), name)

        def __taskproc_readable__(self):
            return "".join([self._spec[1], *(f"[{key}]" for key in self._spec[2:])])

    def _more(self, more: list[Any]) -> list[str]:
        return [f"key={key!r}" for key in more]


class InputDir(_Path, Valued["Path"]):
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
            name_input(self, "dir", _checked_path(self, path))

        __fspath__ = InputFile.__fspath__
        __str__ = InputFile.__str__
        __truediv__ = InputFile.__truediv__
        __getattr__ = InputFile.__getattr__
        __taskproc_readable__ = InputFile.__taskproc_readable__


class EnvVar(_Text, Valued[str]):
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
            name_input(self, _ENVIRONMENT, name, *(() if default is ... else (default,)))

    def _more(self, more: list[Any]) -> list[str]:
        return [f"default={default!r}" for default in more]


class Package(_Text, Valued[str]):
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
            name_input(self, "package", name)


KINDS: tuple[Any, ...] = (InputFile, InputDir, EnvVar, Package)
_OF_KIND: dict[str, Any] = {"file": InputFile, "dir": InputDir, _ENVIRONMENT: EnvVar, "package": Package}


def of_spec(spec: Spec) -> Input[Any]:
    """Make an input of what it is called."""
    kind, *said = spec
    made: Input[Any] = _OF_KIND[kind](*said)
    return made


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
