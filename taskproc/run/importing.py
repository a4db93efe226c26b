"""Whether a fresh process can get a thing by importing its module."""
from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ..base.naming import found_by_name

_found_modules: dict[str, bool] = {}


def importable(obj: Any) -> bool:
    """Whether a fresh process can get this class or function by importing its module."""
    module = sys.modules.get(obj.__module__)
    if module is None or obj.__module__ == "__main__" or not is_findable(module):
        return False
    return found_by_name(obj) is obj


def is_findable(module: ModuleType) -> bool:
    """Whether a fresh process would find this module."""
    top = module.__name__.partition(".")[0]
    if top not in _found_modules:
        spec = getattr(sys.modules.get(top), "__spec__", None)
        _found_modules[top] = spec is not None and any(
            finder.find_spec(top, None) is not None for finder in sys.meta_path if hasattr(finder, "find_spec")
        )
    return _found_modules[top] and getattr(module, "__spec__", None) is not None
