"""The error of a task that is held but not declared, which writes the missing line."""
from __future__ import annotations

from ..base.errors import TaskDefinitionError
from .config import where_defined
from .node import Node
from .substitutes import Const, MappedTask
from .taken import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def undeclared(cls: type[Any], name: str, value: Any) -> TaskDefinitionError:
    """Say that an attribute holds a task that would not be run, and how to declare it.

    Args:
        cls: The class of the task that has the attribute, or that has it in its body.
        name: The attribute's name.
        value: What it holds.
    """
    found = next(part for part in inside(value) if isinstance(part, Node))
    place = name if name in cls.__dict__ else f"self.{name}"
    msg = (
        f"{where_defined(cls)}{cls.__qualname__}: {place} holds {found!r}, but is not declared as a requirement, so "
        f"that task would not be run. {_remedy(cls, name, value)}."
    )
    return TaskDefinitionError(msg)


def _remedy(cls: type[Any], name: str, value: Any) -> str:
    """Write the line that declares a requirement."""
    if isinstance(value, (list, tuple, dict)):
        held = list(value.values() if isinstance(value, dict) else value)
        if not all(isinstance(item, (Node, MappedTask, Const)) for item in held):
            return "Put the tasks into one list or dict of their own, declared as RequiresList or RequiresDict"
        types = {_result_type(item) for item in held}
        of = types.pop() if len(types) == 1 else "Any"
        if isinstance(value, dict):
            keys = {type(key).__name__ for key in value}
            declared = f"RequiresDict[{keys.pop() if len(keys) == 1 else 'Any'}, {of}]"
        else:
            declared = f"RequiresList[{of}]"
    elif isinstance(value, (Node, MappedTask)):
        declared = f"Requires[{_result_type(value)}]"
    else:
        return "Put the task into an attribute of its own, declared as Requires"
    assigned = " = ..." if name in cls.__dict__ else ""
    return f"Write in the body of {cls.__qualname__}: `{name}: {declared}{assigned}`"


def _result_type(item: Any) -> str:
    if isinstance(item, Const):
        return type(item.value).__name__
    annotation = None
    if isinstance(item, Node):
        annotation = getattr(type(item).run_task, "__annotations__", {}).get("return", "Any")
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return annotation.__name__
    return "None" if isinstance(item, Node) and annotation is None else str(annotation or "Any")
