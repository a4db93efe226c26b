"""What taskproc itself knows of a task, and how it shows one to people."""
from __future__ import annotations

from .config import TaskConfig
from .lean import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .task import TaskBase


_PLAIN = frozenset((type(None), bool, int, float, str))


class _Nesting(local):
    """How deep in the arguments of tasks this thread is: shown in full, a chain of tasks would have no end."""

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


_nesting = _Nesting()


class TaskRecord:
    """What taskproc itself knows of an instance in the process that constructed it.

    Attributes:
        digest: The identity, 16 bytes: the class's name and the canonical arguments.
        bound: The constructor's arguments, defaults applied.
        upstreams: The tasks that it needs, in the order of its requirements; one may stand there twice.
        sequence: Grows with each construction, so that sorting by it puts every task behind its upstreams.
    """

    __slots__ = ("bound", "config", "digest", "sequence", "upstreams")

    def __init__(self, config: TaskConfig, digest: bytes, bound: dict[str, Any]) -> None:
        self.config = config
        self.digest = digest
        self.bound = bound
        self.upstreams: tuple[TaskBase[Any], ...] = ()
        self.sequence = -1

    def identity(self) -> Any:
        """Stand for this task inside another one's arguments."""
        return {"task": self.config.name, "digest": self.digest.hex()}

    def args(self) -> dict[str, Any]:
        """Show the arguments in plain JSON."""
        from .arguments import readable

        shown: dict[str, Any] = readable(self.bound)
        return shown

    def shown_inside(self) -> dict[str, Any]:
        """Stand for this task in the arguments that another one shows: by its own, or further inside by its digest."""
        if _nesting.depth:
            return {"__digest__": self.digest.hex()}
        with _nesting:
            return {"__args__": self.args()}


def label(config: TaskConfig, bound: dict[str, Any], width: int = 80) -> str:
    """Show a task as `Class(n=3)`, cut to a width."""
    if _PLAIN.issuperset(map(type, bound.values())):
        arguments = ", ".join([f"{name}={_cut(repr(value))}" for name, value in bound.items()])
    else:
        with _nesting:
            arguments = ", ".join([f"{name}={_short(value)}" for name, value in bound.items()])
    text = f"{config.short_name}({arguments})"
    return text if len(text) <= width else text[: width - 4] + "...)"


def _short(value: Any) -> str:
    from .arguments import readable

    if _nesting.depth > 1 and type(value) not in _PLAIN:
        return "..."
    shown = getattr(value, "__taskproc_identity__", None)
    return _cut(repr(readable(value)) if shown and not hasattr(value, "_task") else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."
