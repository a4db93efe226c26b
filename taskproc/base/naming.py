"""The names by which classes and functions of a script are found."""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def name_in_main(obj: Any) -> str:
    """Give the name by which a class or function is found in `__main__`; none if it is not found there."""
    is_named = getattr(obj, "__module__", None) == "__main__" and found_by_name(obj) is obj
    return obj.__qualname__ if is_named else ""


def found_by_name(obj: Any) -> Any:
    """Give what the module of a class or function has by its name: itself, as a rule; None if that is nothing."""
    found: Any = sys.modules.get(obj.__module__)
    for part in getattr(obj, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found
