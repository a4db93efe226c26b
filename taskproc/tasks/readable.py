"""How arguments are shown to people, as plain JSON data."""
from __future__ import annotations

import sys

from .arguments import in_order, is_enum
from .taken import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN_KEYS = frozenset((str,))


def readable(value: Any) -> Any:
    """Show bound arguments, or any one value, as plain JSON data for people; look-alikes may look alike.

    Example:
        >>> from pathlib import Path
        >>> readable({"n": 6, "shape": (2, 3), "file": Path("a.txt"), "seen": {"b", "a"}})
        {'n': 6, 'shape': [2, 3], 'file': 'a.txt', 'seen': ['a', 'b']}
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is dict:
        return _readable_dict(value)
    if kind is list or kind is tuple:
        return [readable(item) for item in value]
    if kind is set or kind is frozenset:
        return [readable(item) for item in in_order(value)]
    hook = getattr(kind, "__taskproc_readable__", None)
    return _readable_other(value, kind) if hook is None else hook(value)


def _readable_dict(value: dict[Any, Any]) -> Any:
    if _PLAIN_KEYS.issuperset(map(type, value)):
        return {key: readable(item) for key, item in value.items()}
    shown = {key if type(key) is str else str(readable(key)): readable(item) for key, item in value.items()}
    if len(shown) < len(value):
        return [[readable(key), readable(item)] for key, item in value.items()]
    return shown


def _readable_other(value: Any, kind: type[Any]) -> Any:
    if kind is bytes:
        return repr(value)
    if is_enum(kind):
        return f"{kind.__name__}.{value.name}" if value.name else str(value)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: readable(getattr(value, name)) for name in value._fields}
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return {f.name: readable(getattr(value, f.name)) for f in fields(value)}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        return item if type(item) in PLAIN else str(value)
    return value.isoformat() if hasattr(kind, "isoformat") else str(value)
