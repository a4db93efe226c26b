"""What an instance of a dataclass or of a named tuple holds: in its fields, and where no field shows it."""
from __future__ import annotations

from functools import cached_property
from types import MemberDescriptorType
from weakref import WeakKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_IS_WRITTEN_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE; the other types keep a state of their own, such as a dict's items

_slots: WeakKeyDictionary[type, dict[str, MemberDescriptorType]] = WeakKeyDictionary()


def is_named_tuple(kind: type[Any]) -> bool:
    """Whether a class was made by `NamedTuple` or `namedtuple`, or derives from one that was."""
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def state(value: Any, kind: type[Any]) -> dict[str, Any]:
    """List all attributes that an instance has of its own, but for those that follow from the others."""
    held = {name: getattr(value, name) for name, slot in slots_of(kind).items() if _is_set(slot, value)}
    for name, item in getattr(value, "__dict__", {}).items():
        if not is_derived(kind, name):
            held[name] = item
    return held


def beyond_fields(value: Any, kind: type[Any], names: Iterable[str]) -> str:
    """Say what an instance holds besides these fields, as the end of a sentence; nothing if that is all."""
    allowed = (object, tuple) if issubclass(kind, tuple) else (object,)
    for base in kind.__mro__:
        if not base.__flags__ & _IS_WRITTEN_IN_PYTHON and base not in allowed:
            return f"what a {base.__name__} holds"
    extra = state(value, kind).keys() - set(names)
    return f"the attribute {min(extra)!r}" if extra else ""


def rebuilt(value: Any, kind: type[Any], items: dict[str, Any]) -> Any:
    """Make another instance of the same class with these attributes; its constructor is not called.

    Raises:
        TypeError: An instance of this class cannot be made in this way.
    """
    new = tuple.__new__(kind, value) if issubclass(kind, tuple) else object.__new__(kind)
    slots = slots_of(kind)
    for name, item in items.items():
        if name in slots:
            slots[name].__set__(new, item)
        else:
            new.__dict__[name] = item
    return new


def slots_of(kind: type[Any]) -> dict[str, MemberDescriptorType]:
    """List the slots of a class and its bases, by the names under which they are declared."""
    found = _slots.get(kind)
    if found is None:
        found = {
            name: slot
            for base in reversed(kind.__mro__)
            for name, slot in vars(base).items()
            if isinstance(slot, MemberDescriptorType) and base.__flags__ & _IS_WRITTEN_IN_PYTHON
        }
        _slots[kind] = found
    return found


def is_derived(kind: type[Any], name: str) -> bool:
    """Whether an attribute follows from the others: a `cached_property`, or the type arguments of a generic class."""
    if name == "__orig_class__":
        return True
    return any(isinstance(base.__dict__.get(name), cached_property) for base in kind.__mro__)


def _is_set(slot: MemberDescriptorType, value: Any) -> bool:
    try:
        slot.__get__(value, type(value))
    except AttributeError:
        return False
    return True
