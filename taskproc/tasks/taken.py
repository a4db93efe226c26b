"""Arguments are taken at the call: whatever can be changed in them is copied, so that a later change is nobody's.

What is looked into: lists, tuples, dicts, sets, byte arrays, slices, dataclasses, named tuples, `Const`, and parts of
results. Every other value is fixed, has no identity anyway, or is a task.
"""
from __future__ import annotations

from .instances import is_named_tuple, rebuilt, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_DEPTH = 100
PLAIN = frozenset((type(None), bool, int, float, str))

_FIXED = frozenset((*PLAIN, bytes, complex, range))
_LISTED = frozenset((list, tuple, set, frozenset))


class NestedTooDeepError(Exception):
    """A value has too many levels, or contains itself."""


def taken(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Give a value that later changes do not reach: a copy, or the value itself if nothing in it can be changed.

    >>> layers = [64, 32]
    >>> config = taken({"layers": layers})
    >>> layers.append(16)
    >>> config
    {'layers': [64, 32]}
    """
    kind = type(value)
    if kind in _FIXED:
        return value
    if not depth:
        raise NestedTooDeepError
    depth -= 1
    if kind in _LISTED:
        if PLAIN.issuperset(map(type, value)):
            return kind(value)  # which is the value itself if it cannot be changed
        items = [item if type(item) in PLAIN else taken(item, depth) for item in value]
        return value if kind in (tuple, frozenset) and all(map(_is, items, value)) else kind(items)
    if kind is dict:
        if PLAIN.issuperset(map(type, value)):
            return {key: item if type(item) in PLAIN else taken(item, depth) for key, item in value.items()}
        return {taken(key, depth): taken(item, depth) for key, item in value.items()}
    if kind is bytearray:
        return bytearray(value)
    if kind is slice:
        edges = (value.start, value.stop, value.step)
        copies = [taken(edge, depth) for edge in edges]
        return value if all(map(_is, edges, copies)) else slice(*copies)
    if hasattr(kind, "__taskproc_identity__"):
        return value.__taskproc_taken__(depth) if hasattr(kind, "__taskproc_taken__") else value
    if is_named_tuple(kind):
        return _taken_named_tuple(value, kind, depth)
    return _taken_dataclass(value, kind, depth) if hasattr(kind, "__dataclass_fields__") else value


def inside(value: Any, depth: int = MAX_DEPTH) -> Iterator[Any]:
    """List all that a value consists of, at any depth: what is not looked into itself, but for plain values."""
    kind = type(value)
    if kind in _FIXED or not depth:
        return
    depth -= 1
    if kind in _LISTED or is_named_tuple(kind):
        parts = value
    elif kind is dict:
        parts = [*value, *value.values()]
    elif hasattr(kind, "__taskproc_inside__"):
        parts = value.__taskproc_inside__()
    elif hasattr(kind, "__dataclass_fields__") and not hasattr(kind, "__taskproc_identity__"):
        parts = state(value, kind).values()
    else:
        yield value
        return
    for part in parts:
        if type(part) not in PLAIN:
            yield from inside(part, depth)


def alike(was: Any, now: Any) -> bool:
    """Whether a value is still what was taken of it."""
    if was is now:
        return True
    kind = type(was)
    if kind is not type(now):
        return False
    if kind is float:
        return repr(was) == repr(now)  # 0.0 equals -0.0, and nan not even itself
    if kind in _FIXED or kind in (set, frozenset, bytearray):
        return bool(was == now)
    if kind is list or kind is tuple:
        return len(was) == len(now) and all(map(alike, was, now))
    if kind is dict:
        return alike(list(was), list(now)) and alike(list(was.values()), list(now.values()))
    if is_named_tuple(kind):
        return alike(tuple(was), tuple(now)) and alike(state(was, kind), state(now, kind))
    if hasattr(kind, "__taskproc_inside__"):
        return alike(list(was.__taskproc_inside__()), list(now.__taskproc_inside__()))
    if not hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__taskproc_identity__"):
        return False
    return alike(state(was, kind), state(now, kind))


def _taken_named_tuple(value: Any, kind: type[Any], depth: int) -> Any:
    items = [taken(item, depth) for item in value]
    held = state(value, kind)
    copies = {name: taken(item, depth) for name, item in held.items()}
    if all(map(_is, items, value)) and all(map(_is, held.values(), copies.values())):
        return value
    return rebuilt(items, kind, copies)


def _taken_dataclass(value: Any, kind: type[Any], depth: int) -> Any:
    held = state(value, kind)
    copies = {name: taken(item, depth) for name, item in held.items()}
    frozen = getattr(kind, "__dataclass_params__").frozen  # noqa: B009 (no type checker knows it)
    if frozen and all(map(_is, held.values(), copies.values())):
        return value
    try:
        return rebuilt(value, kind, copies)
    except TypeError:  # it derives from a built-in type, so it has no identity either
        return value


def _is(one: Any, other: Any) -> bool:
    return one is other
