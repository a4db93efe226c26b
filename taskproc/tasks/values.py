"""Which classes the values have that a task was given as arguments."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from .arguments import found_instead
from .inputs import KINDS
from .node import Node
from .substitutes import Const, MappedTask

PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray, *KINDS))


def value_classes(values: Iterable[Any]) -> set[type]:
    """Give the classes of values, and of those inside them; tasks and Python's own kinds of value are left out.

    >>> import fractions
    >>> value_classes([1, [{"x": fractions.Fraction(1, 2)}]])
    {<class 'fractions.Fraction'>}
    """
    found: set[type] = set()
    waiting, seen = list(values), set()
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in PLAIN or isinstance(value, Node) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Const):
            waiting.append(value.value)
        elif isinstance(value, MappedTask):
            waiting += value.get_args()
        else:
            if kind.__module__ != "builtins":
                found.add(kind)
            waiting += _inside(value)
    return found


def is_former(kind: type) -> bool:
    """Whether a class was defined again since: its module has another by its name, or none."""
    return found_instead(kind) is not kind


def _inside(value: Any) -> list[Any]:
    if isinstance(value, type):
        return []
    if isinstance(value, Enum):
        return [value.value]
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    return list(getattr(value, "__dict__", {}).values()) + [
        getattr(value, name, None) for name in getattr(type(value), "__dataclass_fields__", ())
    ]
