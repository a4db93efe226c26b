"""The names by which classes and functions of a script are found."""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def name_in_main(obj: Any) -> str:
    """Give the name by which a class or function is found in `__main__`; none if it is not found there."""
    if getattr(obj, "__module__", None) != "__main__":
        return ""
    name: str = getattr(obj, "__qualname__", "")
    found: Any = sys.modules["__main__"]
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is obj else ""
