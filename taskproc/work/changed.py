"""Puts into the modules of a worker what the driver's script has changed in its own."""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Implementations:
    """What a script has registered with a function of `functools.singledispatch`.

    Args:
        given: Functions by the class that they are for.
    """

    def __init__(self, given: Mapping[type, Any]) -> None:
        self.given = given


def put(module: str, path: str, value: Any) -> None:
    """Have a module hold a value; a list, a dict or a set that is there stays the same one, as others may hold it.

    Args:
        module: The module, which is imported.
        path: A name in it, or an attribute of a class there.
        value: What to hold.
    """
    __import__(module)
    holder: Any = sys.modules[module]
    *way, last = path.split(".")
    for name in way:
        holder = getattr(holder, name)
    there = vars(holder).get(last)
    if isinstance(value, Implementations):
        for cls, function in value.given.items():
            there.register(cls, function)
    elif type(there) is type(value) and isinstance(value, (dict, set)):
        there.clear()
        there.update(value)
    elif type(there) is type(value) and isinstance(value, list):
        there[:] = value
    else:
        setattr(holder, last, value)
