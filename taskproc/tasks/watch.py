"""The class keyword `watch`: modules and files that a task class counts as a whole."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def watched_files(cls: type, watch: Any) -> tuple[str, ...]:
    """Find what a class is to watch: the files, absolute.

    Args:
        cls: The class.
        watch: A module, the name of one, a path relative to the class's file, or several of these.

    Raises:
        LookupError: There is no such module or file; it holds the entry.
    """
    several = [watch] if isinstance(watch, (str, os.PathLike, ModuleType)) else watch
    if not isinstance(several, Iterable):
        raise LookupError(watch)
    return tuple(dict.fromkeys(_file_of(cls, entry) for entry in several))


def _file_of(cls: type, entry: Any) -> str:
    file = None
    if isinstance(entry, ModuleType):
        file = getattr(entry, "__file__", None)
    elif isinstance(entry, (str, os.PathLike)):
        path = os.fspath(entry)
        file = _beside(cls, path) or (_file_of_module(path) if path == entry else None)
    if not isinstance(file, str) or not os.path.exists(file):
        raise LookupError(entry)
    return os.path.abspath(file)


def _beside(cls: type, path: str) -> str | None:
    own = getattr(sys.modules.get(cls.__module__), "__file__", None)
    found = os.path.join(os.path.dirname(os.path.abspath(own)) if own else os.getcwd(), path)
    return found if os.path.isfile(found) else None


def _file_of_module(name: str) -> str | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec is not None and spec.has_location else None
