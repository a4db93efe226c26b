"""How a task is shown to people: its class and its arguments, cut to a width."""
from __future__ import annotations

from ..base.lean import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .config import TaskConfig

_PLAIN = frozenset((type(None), bool, int, float, str))


class _Nesting(local):
    """How deep in the arguments of tasks this thread is: shown in full, a chain of tasks would have no end."""

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


nesting = _Nesting()


def label(config: TaskConfig, bound: dict[str, Any], width: int = 80) -> str:
    """Show a task as `Class(n=3)`, cut to a width."""
    if _PLAIN.issuperset(map(type, bound.values())):
        arguments = ", ".join([f"{name}={_cut(repr(value))}" for name, value in bound.items()])
    else:
        with nesting:
            arguments = ", ".join([f"{name}={_short(value)}" for name, value in bound.items()])
    text = f"{config.short_name}({arguments})"
    return text if len(text) <= width else text[: width - 4] + "...)"


def _short(value: Any) -> str:
    from .readable import readable

    if nesting.depth > 1 and type(value) not in _PLAIN:
        return "..."
    shown = getattr(value, "__taskproc_identity__", None)
    return _cut(repr(readable(value)) if shown and not hasattr(value, "_task") else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."
