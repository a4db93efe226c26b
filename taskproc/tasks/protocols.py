"""What a type checker sees of tasks; at run time, only code that names `Task` imports this."""
from __future__ import annotations

from typing import Protocol, TypeVar, Union

from .substitutes import Const, MappedTask
from .valued import Input

R = TypeVar("R", covariant=True)


class TaskLike(Protocol[R]):
    """What a type checker sees of a task: the type of its result."""

    def run_task(self) -> R:
        """Compute the result."""
        ...


class Expanding(Protocol[R]):
    """What a type checker sees of a task that returns tasks: the type of their results, in the same shape."""

    def _results_of_returned(self) -> R:
        """Stand for them; there is nothing to call."""
        ...


class Result(Protocol[R]):
    """Anything that yields a value once its tasks have run."""

    def get_task_result(self) -> R:
        """Give the value."""
        ...


Task = Union[TaskLike[R], MappedTask[R], Const[R], Input[R], Expanding[R]]  # noqa: UP007 (a union by `|` cannot be subscripted in 3.10)
"""What may be required: a task, a part of a task's result, a `Const`, or an input such as `InputFile`.

`Task[int]` has a result of type `int`. It is also the type of an argument: `def __init__(self, source: Task[int])`.
"""
