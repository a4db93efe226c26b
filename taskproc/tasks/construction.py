"""How a task instance comes to be: once per set of arguments, at any depth of nesting.

A constructor may make the task's upstreams, whose constructors make theirs, and so on. That nests as deep as the
graph; so every hundred levels go on in a fresh thread, with a stack of its own, while the thread before waits.
"""
from __future__ import annotations

import contextvars
import itertools
import time
import weakref
from collections import deque
from typing import Any

from ..base.collector import eased_collector
from ..base.deep import NoThreadError, in_fresh_thread
from ..base.errors import CycleError, TaskDefinitionError, TaskprocError
from .annotated import refuse_plain_fields
from .arguments import canonical, taken_arguments
from .config import definitions, where_defined
from .definition import refuse_idle
from .label import label
from .node import Node, TaskRecord
from .settled import settle, too_early
from .values import is_former, value_classes

LEVELS_PER_THREAD = 100
MAX_LEVELS = 400_000
_MOST_KEPT = 10_000  # tasks
_PAUSE = 1.0  # seconds without a construction, after which what comes is no part of what was before

_sequence = itertools.count()


class _Building:
    """One nest of constructors: what is under construction, outermost first."""

    __slots__ = ("stack", "stopped")

    def __init__(self) -> None:
        self.stack: dict[bytes, TaskRecord] = {}
        self.stopped = False


class _Recent:
    """The tasks that were constructed last, if they need others, and with them all that they need.

    A graph may be built bottom up, each task by a call of its own, while nobody holds them. If each went at once, its
    downstream tasks would construct all below it once more.
    """

    def __init__(self) -> None:
        self.tasks: deque[Node] = deque(maxlen=_MOST_KEPT)
        self._until = 0.0

    def begin(self) -> None:
        """Let go of what was constructed long ago."""
        if time.monotonic() > self._until:
            self.tasks.clear()

    def add(self, task: Node) -> None:
        """Keep a task for a while."""
        self.tasks.append(task)
        self._until = time.monotonic() + _PAUSE

    def let_go(self) -> None:
        """Keep none any more: whoever wanted them has them."""
        self.tasks.clear()


recent = _Recent()
_building: contextvars.ContextVar[_Building | None] = contextvars.ContextVar("taskproc_building", default=None)
_memos: weakref.WeakKeyDictionary[type, weakref.WeakValueDictionary[bytes, Any]] = weakref.WeakKeyDictionary()


def construct(cls: type[Node], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
    """Give the task of a class with these arguments: the living instance, or a new one.

    Raises:
        CycleError: A task asked for itself while under construction.
        TaskDefinitionError: An argument without an identity, an unset requirement, or one that is not a task.
    """
    config = cls.__dict__.get("_task_config")
    if config is None:
        raise _not_set_up(cls)
    bound = config.binder.bind(args, kwargs)
    if config.made_inputs is not None:
        bound = config.made_inputs(bound)
    text = config.plain_text(bound)
    if not text:
        bound = taken_arguments(bound, cls.__qualname__)
    key = digest = config.digest(text or canonical(bound, cls.__qualname__))
    if config.ignore:  # instances that differ only in what makes no difference are two, and one task
        digest = config.digest(canonical(config.counted(bound), cls.__qualname__))
    if definitions.renewals != _renewals:
        _forget_former_classes()
    memo = _memos.get(cls)
    if memo is None:  # it is the first task of its class, which is no mere base of others then
        refuse_idle(cls, config.requirements)
        memo = _memos.setdefault(cls, weakref.WeakValueDictionary())
    building = _building.get()
    task = memo.get(key)
    if task is not None and building is None:
        task = None
        recent.let_go()  # who holds no such task asks for a new one, whose constructor looks at the world anew
        task = memo.get(key)
    if task is not None and not text and any(map(is_former, value_classes(task._task.bound.values()))):
        del memo[key]
        task = None
    if task is not None:
        return task  # type: ignore[no-any-return]  # a memo holds instances of its class
    if not text:  # the constructor has a copy of its own, which it may change
        refuse_plain_fields(cls, bound)
        args, kwargs = config.binder.call(taken_arguments(bound, cls.__qualname__))
    if building is not None:
        task = _nested(building, cls, TaskRecord(config, digest, bound), args, kwargs)
    else:
        building = _Building()
        if recent.tasks:
            recent.begin()
        token = _building.set(building)
        try:
            if config.requirements:
                with eased_collector:
                    task = _nested(building, cls, TaskRecord(config, digest, bound), args, kwargs)
            else:  # it makes no others
                task = _nested(building, cls, TaskRecord(config, digest, bound), args, kwargs)
        except BaseException:
            building.stopped = True
            raise
        finally:
            _building.reset(token)
        if task._task.upstreams:  # type: ignore[union-attr]  # constructed here
            recent.add(task)
    return memo.setdefault(key, task)  # type: ignore[no-any-return]  # as above


def _forget_former_classes() -> None:
    """Construct all tasks anew from now on: those that live may need tasks of a class that was defined again since."""
    global _renewals
    if _building.get() is None:
        _renewals = definitions.renewals
        _memos.clear()
        recent.let_go()


_renewals = 0


def _nested(
    building: _Building, cls: type[Node], record: TaskRecord, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Node:
    stack, key = building.stack, record.digest
    if key in stack:
        raise CycleError(_cycle(building, key))
    if building.stopped:
        msg = "construction was given up"
        raise TaskDefinitionError(msg)
    if len(stack) >= MAX_LEVELS:
        msg = (
            f"{where_defined(cls)}{cls.__qualname__}: constructors nest more than {MAX_LEVELS:,} levels deep, the last "
            f"one {label(record.config, record.bound)}; does a constructor ask for ever new upstreams?"
        )
        raise TaskDefinitionError(msg)
    stack[key] = record
    try:
        if len(stack) % LEVELS_PER_THREAD:
            return _initialised(cls, record, args, kwargs)
        return _in_fresh_thread(cls, record, args, kwargs)
    finally:
        del stack[key]


def _initialised(
    cls: type[Node], record: TaskRecord, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Node:
    task = cls.__new__(cls)
    held = vars(task)
    held["_task"] = record
    if record.config.defaults:
        for requirement in record.config.defaults:
            held[requirement.private_name] = requirement.fresh_default()
    try:
        cls.__init__(task, *args, **kwargs)
    except (AttributeError, TypeError) as error:
        told = None if isinstance(error, TaskprocError) else too_early(task, error)
        if told is None:
            raise
        raise told from error
    settle(task, record)
    record.sequence = next(_sequence)
    return task


def _in_fresh_thread(
    cls: type[Node], record: TaskRecord, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Node:
    context = contextvars.copy_context()
    try:
        return in_fresh_thread(lambda: context.run(_initialised, cls, record, args, kwargs))
    except NoThreadError as error:
        msg = f"{where_defined(cls)}{cls.__qualname__}: constructors nest too deep for this machine ({error})."
        raise TaskDefinitionError(msg) from None


def _cycle(building: _Building, key: bytes) -> str:
    names = [label(record.config, record.bound, 40) for record in building.stack.values()]
    path = names[list(building.stack).index(key) :]
    if len(path) > 12:
        path = [*path[:5], f"... {len(path) - 10} more ...", *path[-5:]]
    return "a task needs itself: " + " -> ".join([*path, path[0]])


def _not_set_up(cls: type) -> TaskDefinitionError:
    if not any("_task_config" in base.__dict__ for base in cls.__mro__):
        msg = f"{cls.__qualname__} is no task itself; derive a class from it and define run_task."
    else:
        culprit = next(
            (base for base in cls.__mro__[1:] if "__init_subclass__" in base.__dict__), cls
        ).__qualname__
        msg = (
            f"{where_defined(cls)}{cls.__qualname__} was not set up as a task: {culprit}.__init_subclass__ must call "
            "super().__init_subclass__(**kwargs)."
        )
    return TaskDefinitionError(msg)
