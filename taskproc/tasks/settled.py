"""What a task holds when its constructor ends: its requirements are fixed then, and its attributes are as good as."""
from __future__ import annotations

from operator import is_

from ..base.errors import TaskDefinitionError
from .config import where_defined
from .instances import is_derived
from .node import Node, TaskRecord
from .requires import PRIVATE, not_a_task, parts
from .substitutes import Const, MappedTask
from .taken import PLAIN, NestedTooDeepError, alike, inside, taken
from .undeclared import undeclared
from .valued import Input, inputs_in, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def settle(task: Node, record: TaskRecord) -> None:
    """Fix what a task requires, and note what its constructor left in its attributes.

    Raises:
        TaskDefinitionError: A requirement is not set, or not to tasks; or an attribute holds a task that is none.
    """
    held = vars(task)
    config = record.config
    if config.requirements:
        record.upstreams = _upstreams(held, task, record)
    values = [value for value in held.values() if type(value) in PLAIN]
    private = config.private
    if len(values) + len(private) != len(held):  # none of those is plain, so there is something else
        values = [_noted(task, record, name, value) for name, value in held.items() if name not in private]
    elif len(values) == len(record.bound) and all(map(is_, values, record.bound.values())):
        return  # as most are: one object less for each task, which the cyclic garbage collector would count
    record.attributes = tuple(values)
    if made.any and not PLAIN.issuperset(map(type, record.bound.values())):
        record.inputs += inputs_in(record.bound.values())


def check_unchanged(task: Node) -> None:
    """Make sure that a task holds what its constructor left, before it is handed over.

    Of what is of a class of its own, such as an array, only that it is the same object is looked at.

    Raises:
        TaskDefinitionError: An attribute was set, deleted or changed after the task was constructed.
    """
    record: TaskRecord = task._task  # type: ignore[assignment]  # it was constructed here
    was = tuple(record.bound.values()) if record.attributes is None else record.attributes
    private = task._task_config.private
    now = [(name, value) for name, value in task.__dict__.items() if name not in private]
    changed = [name for (name, value), before in zip(now, was, strict=False) if not alike(before, value)]
    changed += [name for name, _ in now[len(was) :] if not is_derived(type(task), name)]
    if changed or len(now) < len(was):
        what = f"self.{changed[0]} was changed" if changed else "an attribute was deleted"
        msg = (
            f"{task!r}: {what} after __init__, so its result would not be what its arguments say; make what differs an "
            "argument, and another task of it"
        )
        raise TaskDefinitionError(msg)


def too_early(task: Node, error: Exception) -> TaskDefinitionError | None:
    """Say that a constructor failed because it took a requirement for its result; None if it did not."""
    cls = type(task)
    text = str(error)
    for name in task._task_config.requirements:
        for _, item in parts(task.__dict__.get(PRIVATE + name, ())):
            origin = item.get_origin() if isinstance(item, MappedTask) else item
            if isinstance(origin, (Node, Const)) and any(type(at).__name__ in text for at in (item, origin)):
                msg = (
                    f"{where_defined(cls)}{cls.__qualname__}.__init__ takes self.{name} for a result, but there it is "
                    f"{item!r}, which has none yet ({type(error).__name__}: {text}). Use the result in run_task, or "
                    "make what depends on it a task that requires it."
                )
                return TaskDefinitionError(msg)
    return None


def _upstreams(held: dict[str, Any], task: Node, record: TaskRecord) -> tuple[Node, ...]:
    """Collect the tasks that the requirements hold, keep these from being changed, and refuse what is not right."""
    found = []
    cls, config = type(task), record.config
    for name, held_as in zip(config.requirements, config.held_as, strict=True):
        value = held.get(held_as)
        if isinstance(value, Node):
            found.append(value)
            continue
        if held_as not in held:
            msg = (
                f"{where_defined(cls)}{cls.__qualname__}.{name} is not set. Assign a task to self.{name} in "
                f"{cls.__qualname__}.__init__, or Const(value) for a fixed value."
            )
            raise TaskDefinitionError(msg)
        for key, item in parts(value):
            origin = item.get_origin() if isinstance(item, MappedTask) else item
            if isinstance(origin, Node):
                found.append(origin)
            elif not isinstance(origin, (Const, Input)):
                raise not_a_task(f"{where_defined(cls)}{config.short_name}", name, key, item)
            elif any(isinstance(part, Node) for part in inside(origin)):
                msg = (
                    f"{where_defined(cls)}{config.short_name}.{name} is {item!r}, but a Const is a fixed "
                    "value, and the task in it would not be run; require the task itself."
                )
                raise TaskDefinitionError(msg)
            else:
                record.inputs += inputs_in([origin])
        held[held_as] = _frozen(value)
    return tuple(found)


def _noted(task: Node, record: TaskRecord, name: str, value: Any) -> Any:
    """Note what an attribute holds, unless that is a task which nobody would run."""
    for part in inside(value):
        if isinstance(part, Node) and part is not task and all(part is not upstream for upstream in record.upstreams):
            raise undeclared(type(task), name, value)
        if isinstance(part, Input):
            record.inputs += (part,)
    return _kept(value)


def _frozen(value: Any) -> Any:
    """Copy what a requirement holds, so that no list that somebody still has, and no constant's value, changes it.

    An input is a constant from then on, whose value is what it reads as.
    """
    if isinstance(value, (list, tuple)):
        return tuple([item if isinstance(item, Node) else _frozen(item) for item in value])
    if isinstance(value, dict):
        return {_kept(key): item if isinstance(item, Node) else _frozen(item) for key, item in value.items()}
    return Const(value) if isinstance(value, Input) else _kept(value)


def _kept(value: Any) -> Any:
    try:
        return taken(value)
    except NestedTooDeepError:
        return value
