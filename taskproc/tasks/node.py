"""The part of a task that every room knows: its class's settings, its record, and its place in the cache.

`TaskBase`, which users derive from, adds the verbs that run a graph; what runs one knows tasks as nodes only.
"""
from __future__ import annotations

from abc import ABCMeta

from .label import label, nesting
from .location import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from .config import TaskConfig
    from .valued import Input


class TaskRecord:
    """What taskproc itself knows of an instance in the process that constructed it.

    Attributes:
        digest: The identity, 16 bytes: the class's name and the canonical arguments.
        bound: The constructor's arguments, defaults applied, as they were when it was called.
        upstreams: The tasks that it needs, in the order of its requirements; one may stand there twice.
        sequence: Grows with each construction, so that sorting by it puts every task behind its upstreams; below 0
            while the task is under construction.
        attributes: What its constructor left in its attributes, in their order, without this record; None if that is
            the arguments and nothing else.
        inputs: What it reads from outside: among its arguments, its attributes and its requirements.
    """

    __slots__ = ("attributes", "bound", "config", "digest", "inputs", "sequence", "upstreams")

    def __init__(self, config: TaskConfig, digest: bytes, bound: dict[str, Any]) -> None:
        self.config = config
        self.digest = digest
        self.bound = bound
        self.upstreams: tuple[Node, ...] = ()
        self.sequence = -1
        self.attributes: tuple[Any, ...] | None = None
        self.inputs: tuple[Input[Any], ...] = ()

    def identity(self) -> Any:
        """Stand for this task inside another one's arguments."""
        return {"task": self.config.name, "digest": self.digest.hex()}

    def args(self) -> dict[str, Any]:
        """Show the arguments in plain JSON."""
        from .readable import readable

        shown: dict[str, Any] = readable(self.bound)
        return shown

    def shown_inside(self) -> dict[str, Any]:
        """Stand for this task in the arguments that another one shows: by its own, or further inside by its digest."""
        if nesting.depth:
            return {"__digest__": self.digest.hex()}
        with nesting:
            return {"__args__": self.args()}


class _TaskName:
    """`module.qualname` of the class, on the class and on its instances."""

    # A classmethod and a property no longer stack in Python 3.13.

    def __get__(self, obj: Any, owner: Any = None) -> str:
        name: str = (owner or type(obj))._task_config.name
        return name


class Node(metaclass=ABCMeta):
    """A task as the graph, the hand-over and the failures know it."""

    _task_config: TaskConfig
    _task: TaskRecord | Location
    task_name = _TaskName()

    if TYPE_CHECKING:  # every task has it; a class that says none of its own has `TaskBase`'s

        def run_task(self) -> Any: ...

    def __repr__(self) -> str:
        record = self._task
        if isinstance(record, TaskRecord):
            return label(record.config, record.bound)
        return record.label

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), located(self))

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: Any) -> Node:
        return self

    def __taskproc_identity__(self) -> Any:
        return self._task.identity()

    def __taskproc_readable__(self) -> Any:
        return {"__task__": type(self).task_name, **self._task.shown_inside()}

    @property
    def task_id(self) -> int:
        """The task's number from 0, unique in its class and cache, and never used for another task."""
        return located(self).id

    @property
    def task_args(self) -> dict[str, Any]:
        """The constructor's arguments in plain JSON, defaults applied."""
        return self._task.args()

    @property
    def task_directory(self) -> Path:
        """A directory of the task's own for files, made on access, and empty at the start of each attempt."""
        return located(self).data_directory()

    @property
    def task_stdout(self) -> Path:
        """The file with what the task wrote to its standard output; missing if it wrote nothing."""
        return located(self).stdout

    @property
    def task_stderr(self) -> Path:
        """The file with what the task wrote to its standard error; missing if it wrote nothing."""
        return located(self).stderr


def located(task: Node) -> Location:
    """Find a task's place: in the cache in use now, or where the task was restored from."""
    record = task._task
    if isinstance(record, Location):
        return record
    from .in_use import current_cache

    return locate(record, current_cache().class_directory(record.config.name))


def locate(record: TaskRecord, class_directory: str, id: int | None = None) -> Location:
    """Place a task under its class's directory."""
    import json

    return Location(
        record.config.name,
        record.digest,
        class_directory,
        id,
        label(record.config, record.bound),
        json.dumps(record.args(), default=repr),
    )


def restore(cls: type[Node], location: Location) -> Node:
    """Make the stand-in for a task in another process: without attributes, with its place and its result."""
    task: Node = object.__new__(cls)
    vars(task)["_task"] = location
    return task
