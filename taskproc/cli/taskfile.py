"""The task file: found, imported under its name, and asked for its entry point.

A worker elsewhere imports the same file by the same name, so the name must lead there and nowhere else.
"""
from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import TaskprocError
from ..base.options import nearest
from ..base.script import counts_as, module_and_root

if TYPE_CHECKING:
    from ..task import TaskBase

# Modules that taskproc imports late: a file of that name in front of them would break it.
_OURS = frozenset(
    {
        "taskproc", "taskproc_backends", "click", "cloudpickle", "diskcache", "dotenv", "networkx", "pluggy", "psutil",
        "tomli", "tqdm", "typing_extensions",
    }
)
_MOST_FRAMES = 40


class TaskFileError(Exception):
    """The user's own code failed while it was loaded or while the entry point was constructed; the text says how."""


@dataclass(frozen=True)
class TaskFile:
    """A task file.

    Attributes:
        path: The file, absolute; symbolic links are not followed, for the link's name is the module's.
        module: The name that it is imported by, with its package if it lies in one.
        root: The directory that the import starts from.
    """

    path: Path
    module: str
    root: Path

    def load(self) -> ModuleType:
        """Import the file.

        Raises:
            click.UsageError: The name leads to another module.
            TaskFileError: The file's own code failed.
        """
        self._refuse_clash()
        self._make_importable()
        counts_as(self.module)
        from ..tasks.loaded import drop_doubtful_bytecode
        from ..tasks.source.files import bytecode_of

        for beside in self.path.parent.glob("*.py"):
            drop_doubtful_bytecode(str(beside), bytecode_of(str(beside)))
        with told_as_users():
            module = importlib.import_module(self.module)
        found = getattr(module, "__file__", None)
        if found is None or not os.path.samefile(found, self.path):
            raise click.UsageError(self._clash(found or "built into Python"))
        return module

    def _refuse_clash(self) -> None:
        top = self.module.partition(".")[0]
        if top in sys.stdlib_module_names or top in _OURS or top == "__main__":
            spec = importlib.util.find_spec(top) if top != "__main__" else None
            raise click.UsageError(self._clash((spec and spec.origin) or "part of Python"))

    def _clash(self, other: str) -> str:
        top = self.module.partition(".")[0]
        what = "its package" if "." in self.module else "it"
        return (
            f"{str(self.path)!r} would be imported as {self.module!r}, but {top!r} is another module ({other}); "
            f"give {what} another name."
        )

    def _make_importable(self) -> None:
        """Put the file's directory on the path, in front as `python file.py` does, for workers and subprocesses too."""
        root, beside = str(self.root), str(self.path.parent)
        if root in sys.path:
            sys.path.remove(root)
        sys.path.insert(0, root)
        if beside not in sys.path:
            sys.path.append(beside)  # in a package, a file may still import its neighbours the short way
        if os.pathsep not in root:
            rest = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = f"{root}{os.pathsep}{rest}" if rest else root
        importlib.invalidate_caches()


def find_task_file(text: str) -> TaskFile:
    """Find the file that somebody named; `.py` may be left out.

    Raises:
        click.UsageError: There is no such file, or it cannot be imported by its name.
    """
    path = Path(os.path.abspath(text))
    if not path.exists() and not path.suffix and path.with_name(path.name + ".py").exists():
        path = path.with_name(path.name + ".py")
    if path.is_dir():
        msg = f"{text!r} is a directory; name the Python file in it that holds the tasks."
        raise click.UsageError(msg)
    if not path.exists():
        raise click.UsageError(_missing(text, path))
    if path.suffix != ".py":
        msg = f"{text!r} is no Python file: a task file's name ends with .py."
        raise click.UsageError(msg)
    if "." in path.stem:
        better = path.stem.replace(".", "_") + ".py"
        msg = f"{text!r} cannot be imported: its name has a dot before .py. Rename it, for example to {better!r}."
        raise click.UsageError(msg)
    module, root = module_and_root(str(path))
    return TaskFile(path, module, Path(root))


def entry_point(file: TaskFile, module: ModuleType, name: str) -> type[TaskBase[Any]]:
    """Give the task class to run.

    Args:
        file: Where it is, for errors.
        module: The loaded file.
        name: The class's name; `Outer.Inner` for one inside another.

    Raises:
        click.UsageError: There is no such class, or it is no task.
    """
    from ..task import TaskBase

    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise click.UsageError(_no_entry_point(file, module, name))
    if not (isinstance(found, type) and issubclass(found, TaskBase)):
        msg = f"{file.path.name}: {name} is {_described(found)}, not a task class (a subclass of TaskBase)."
        raise click.UsageError(msg)
    return found


def construct(file: TaskFile, cls: type[TaskBase[Any]], arguments: Mapping[str, Any]) -> TaskBase[Any]:
    """Construct the entry point, and with it the graph.

    Raises:
        TaskFileError: A constructor failed.
    """
    with told_as_users():
        return cls(**arguments)


@contextmanager
def told_as_users() -> Iterator[None]:
    """Tell of a failure in the user's code by the user's own frames.

    Raises:
        TaskFileError: The code failed.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except TaskprocError as error:
        raise TaskFileError(f"Error: {error}{_place(error)}") from error
    except SystemExit as error:
        msg = f"{_users_traceback(error)}\nThe task file ended the program while it was loaded."
        raise TaskFileError(msg) from error
    except BaseException as error:
        raise TaskFileError(_users_traceback(error)) from error


def _missing(text: str, path: Path) -> str:
    from difflib import get_close_matches

    context = click.get_current_context(silent=True)
    group = context.find_root().command if context else None
    commands = get_close_matches(text, list(group.commands) if isinstance(group, click.Group) else [], n=1)
    if commands:
        return f"there is no file {text!r}; did you mean the command `taskproc {commands[0]}`?"
    try:
        names = [name for name in os.listdir(path.parent) if name.endswith(".py")]
    except OSError:
        return f"there is no file {text!r}, and no directory {str(path.parent)!r}."
    near = get_close_matches(path.name, names, n=1)
    return f"there is no file {text!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def _no_entry_point(file: TaskFile, module: ModuleType, name: str) -> str:
    from ..task import TaskBase

    own = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, TaskBase) and value.__module__ == module.__name__
    ]
    if not own:
        return f"{file.path.name} has no {name}, and no other task class."
    return f"{file.path.name} has no {name}; {nearest(name, own)} Choose a task with -e NAME."


def _described(found: Any) -> str:
    return f"the class {found.__qualname__}" if isinstance(found, type) else f"a {type(found).__name__}"


def _place(error: BaseException) -> str:
    """Say where the user's code was when it met one of our own errors."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame)]
    if not frames:
        return ""
    return "".join(
        f"\n  {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames[-3:]
    )


def _users_traceback(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error)
    _keep_users_frames(shown, set())
    return "".join(shown.format()).rstrip("\n")


def _keep_users_frames(shown: traceback.TracebackException, seen: set[int]) -> None:
    if id(shown) in seen:
        return
    seen.add(id(shown))
    frames = [frame for frame in shown.stack if _is_users(frame)]
    if len(frames) > _MOST_FRAMES:
        frames = frames[: _MOST_FRAMES // 2] + frames[-_MOST_FRAMES // 2 :]
    shown.stack = traceback.StackSummary.from_list(frames)
    for linked in (shown.__cause__, shown.__context__):
        if linked is not None:
            _keep_users_frames(linked, seen)


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IMPORTLIB = os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep


def _is_users(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith((_PACKAGE, _IMPORTLIB, "<frozen "))
