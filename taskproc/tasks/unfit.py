"""Why a value cannot be an argument, in a sentence that leads to it and says what to pass instead."""
from __future__ import annotations

from ..base.errors import TaskDefinitionError
from .taken import MAX_DEPTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class UnfitError(TaskDefinitionError):
    """A value without identity; each container on the way up adds its step to the path."""

    def __init__(self, problem: str, advice: str) -> None:
        self.problem = problem
        self.advice = advice
        self.path: list[str] = []
        self.containers: list[Any] = []
        super().__init__(problem)

    def __str__(self) -> str:
        return self.sentence("identity of a task", "value")

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskDefinitionError, (str(self),)

    def at(self, step: str, container: Any) -> UnfitError:
        self.path.append(step)
        self.containers.append(container)
        return self

    def sentence(self, owner: str, argument: str) -> str:
        steps = self.path[::-1]
        if len({id(container) for container in self.containers}) < len(self.containers):
            return f"{owner}: {argument} contains itself, so it has no end; pass plain data without cycles"
        if len(steps) >= MAX_DEPTH:
            steps = [*steps[:3], "..."]
        return f"{owner}: {argument}{''.join(steps)} {self.problem}; {self.advice}"


def unfit(value: Any, kind: type[Any]) -> UnfitError:
    what = "a class" if isinstance(value, type) else a(kind)
    return UnfitError(f"is {what}, which has no identity across processes", _advice(value))


def a(kind: type[Any]) -> str:
    """Name a class with its article."""
    return f"{'an' if kind.__name__[:1].lower() in 'aeiou' else 'a'} {kind.__name__}"


def _advice(value: Any) -> str:
    kind = type(value)
    for plain in (str, int, float, bytes, bytearray, list, tuple, dict, set, frozenset):
        if isinstance(value, plain):
            return f"pass a plain {plain.__name__}, such as {plain.__name__}(...) of it"
    if hasattr(kind, "model_dump"):
        return "pass its model_dump()"
    if hasattr(value, "shape") or hasattr(value, "dtype"):
        return "pass a task that makes it, or the path of a file that holds it"
    if hasattr(value, "read") or hasattr(value, "fileno"):
        return "pass the path of the file"
    if callable(value):
        return "pass its name, and look it up in run_task"
    if kind.__name__ in ("Namespace", "SimpleNamespace"):
        return "pass vars(...) of it"
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
        return "pass a plain dict, such as dict(...) of it"
    if hasattr(kind, "__iter__"):
        return "pass a plain list, such as list(...) of it"
    return "pass numbers, strings, lists, dicts, dataclasses, enums, paths, dates or tasks"


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
