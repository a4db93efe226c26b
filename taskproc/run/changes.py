"""What a script changes in the modules that it imports: a worker imports them, and would not have it."""
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from ..work.changed import Implementations


class Changes(NamedTuple):
    """What a worker does to its modules before its first task.

    Attributes:
        values: What they hold, by module and path.
        modules: What is imported for what it changes.
        unfit: Why what the script changes cannot be handed over, if that is so.
    """

    values: Mapping[tuple[str, str], Any]
    modules: Sequence[str]
    unfit: str


NO_CHANGES = Changes({}, (), "")


def changed_in(module: str, name: str) -> Iterator[tuple[str, Any]]:
    """Give what a name of a module holds now that it may not hold after its import, by path.

    Functions and classes are not handed over: of a class it is what its attributes hold, and what the script has put in
    their place; of a function by types its implementations.

    Args:
        module: The module that was changed.
        name: The name of it that was changed, or what it holds.
    """
    value = vars(sys.modules[module]).get(name, _NOTHING)
    if isinstance(value, type) and value.__module__ != "__main__":
        for attribute, held in list(vars(value).items()):
            if not attribute.startswith(("__", "_abc_")) and (_is_of_script(held) or not _is_definition(held)):
                yield f"{name}.{attribute}", held
    elif isinstance(registry := getattr(value, "registry", None), Mapping) and hasattr(value, "dispatch"):
        given = {cls: function for cls, function in registry.items() if _is_of_script(function)}
        if given:
            yield name, Implementations(given)
    elif value is not _NOTHING and (_is_of_script(value) or not _is_definition(value)):
        yield name, value


_NOTHING = object()


def _is_of_script(value: Any) -> bool:
    return getattr(value, "__module__", None) == "__main__"


def _is_definition(value: Any) -> bool:
    return isinstance(value, (FunctionType, ModuleType, type)) or hasattr(type(value), "__get__")
