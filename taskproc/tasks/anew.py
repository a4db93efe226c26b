"""Tasks written down so that another process constructs them anew: by class and arguments, not by what they hold."""
from __future__ import annotations

import io

from ..base.errors import TaskDefinitionError
from ..base.lean import pickle
from ..base.telling import told
from ..store.files import unpickle
from .node import Node, TaskRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_down(task: Node) -> bytes:
    """Write down a task that was constructed in this process.

    Raises:
        TaskDefinitionError: Its class or an argument has no name that another process could look up.
    """
    buffer = io.BytesIO()
    try:
        _Writer(buffer, 5).dump(task)
    except Exception as error:
        msg = f"{task!r} cannot be constructed in another process: {told(error)}"
        raise TaskDefinitionError(msg) from error
    return buffer.getvalue()


def construct_anew(data: bytes, whose: str) -> Node:
    """Construct a task that was written down.

    Args:
        data: What was written.
        whose: The task, for errors.

    Raises:
        TaskprocError: It cannot be constructed here.
    """
    task = unpickle(data, whose, "")
    if not isinstance(task, Node):
        msg = f"{whose} is no task"
        raise TaskDefinitionError(msg)
    return task


class _Writer(pickle.Pickler):
    """Writes tasks as calls of their classes, among arguments too."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Node):
            if not isinstance(obj._task, TaskRecord):
                msg = f"{obj!r} came from another process"
                raise pickle.PicklingError(msg)
            return _call, (type(obj), *obj._task.config.binder.call(obj._task.bound))
        return NotImplemented


def _call(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return cls(*args, **kwargs)
