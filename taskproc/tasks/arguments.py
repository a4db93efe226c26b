"""What makes two tasks the same: the canonical text of their bound arguments.

The text is ASCII JSON, the same in every process, on every interpreter and for every hash seed. Numbers,
strings, lists and dicts with string keys in sorted order are themselves; every other value is tagged as
`{"$": [kind, ...]}`, and a dict of the user's that has the key `$` is tagged too, so that nothing can pass for a tag.
The order of a dict counts, as a task can see it; sets have none.
"""
from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..base.errors import TaskDefinitionError
from ..base.naming import found_by_name
from ..base.script import module_name
from .instances import beyond_fields, is_derived, is_named_tuple
from .taken import MAX_DEPTH, PLAIN, NestedTooDeepError, taken
from .unfit import UnfitError, a, short, unfit

_TAG = "$"
_PLAIN_KEYS = frozenset((str,))
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 1 << 1024  # A longer integer is written in base 16: Python may refuse to write it in base 10.
_UNSUSPICIOUS = 300  # characters: no integer in a text as short as this can exceed _LARGEST
_PLAIN_TEXTS: dict[type, Callable[[Any], str]] = {  # as the JSON encoder writes them
    type(None): lambda _: "null",
    bool: {True: "true", False: "false"}.__getitem__,
    int: int.__repr__,
    float: lambda value: repr(value) if value - value == 0 else json.dumps(value),
    str: json.encoder.encode_basestring_ascii,
}


def canonical(bound: Mapping[str, Any], owner: str) -> str:
    """Write the canonical text of bound arguments: equal for equal arguments, different for different ones.

    Args:
        bound: Parameter names and values, as `Binder.bind` gives them.
        owner: The name to use in errors.

    Raises:
        TaskDefinitionError: A value has no identity across processes.

    Example:
        >>> canonical({"n": 6, "k": 3}, "Choose")
        '{"k":3,"n":6}'
        >>> canonical({"shape": (2, 3)}, "Train")
        '{"shape":{"$":["tuple",2,3]}}'
    """
    tagged = {}
    for name, value in bound.items():
        try:
            tagged[name] = identity(value)
        except UnfitError as error:
            raise TaskDefinitionError(error.sentence(owner, f"argument {name}")) from None
    return _encode(tagged)


def identity(value: Any) -> Any:
    """Tag one value: the JSON data that stands for it in a canonical text.

    For the hooks `__taskproc_identity__` of mapped tasks and `Const`, which hold values of the user's.

    Raises:
        TaskDefinitionError: The value has no identity across processes.

    Example:
        >>> identity([1, b"ab"])
        [1, {'$': ['bytes', '6162']}]
    """
    return _tagged(value, MAX_DEPTH)


def write_identity(tagged: Any) -> str:
    """Write tagged values as canonical text."""
    return _encode(tagged)


def const_identity(value: Any) -> dict[str, Any]:
    """Give the identity of a `Const`, for its hook.

    >>> const_identity((1, 2))
    {'const': {'$': ['tuple', 1, 2]}}
    """
    try:
        return {"const": identity(value)}
    except UnfitError as error:
        error.path.append(".value")
        raise


def plain_writer(names: Iterable[str]) -> Callable[[Mapping[str, Any]], str]:
    """Make what writes the canonical text of arguments with these names, if all are plain and short; else nothing.

    It is several times as fast as `canonical`, and most arguments are so.

    Example:
        >>> write = plain_writer(["n", "k"])
        >>> write({"n": 6, "k": 3}), write({"n": 6, "k": (2, 3)})
        ('{"k":3,"n":6}', '')
    """
    ordered = sorted(names)
    template = "{" + ",".join([f"{_PLAIN_TEXTS[str](name)}:%s" for name in ordered]) + "}"

    def write(bound: Mapping[str, Any]) -> str:
        try:
            text = template % tuple([_PLAIN_TEXTS[type(value)](value) for value in map(bound.__getitem__, ordered)])
        except (KeyError, ValueError):  # not plain, or an integer too long for base 10
            return ""
        return text if len(text) < _UNSUSPICIOUS and "\\ud" not in text else ""

    return write


def taken_arguments(bound: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Copy what can be changed in bound arguments.

    Raises:
        TaskDefinitionError: A value is nested without end.
    """
    try:
        return {name: taken(value) for name, value in bound.items()}
    except NestedTooDeepError:
        canonical(bound, owner)  # which raises, with the place
        raise


def in_order(values: Iterable[Any]) -> list[Any]:
    """Sort values of any kind in an order that is the same in every process.

    Raises:
        TaskDefinitionError: A value has no identity across processes.

    Example:
        >>> in_order({(2, 1), "b", (1, 3), 5})
        ['b', 5, (1, 3), (2, 1)]
    """
    return sorted(values, key=lambda value: _encode(identity(value)))


# --------------------------------------------------------------------------------------------------- encoding


def _make_encoder() -> Callable[[Any], str]:
    """Prepare the JSON encoder once; `json.dumps` sets one up at every call."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode
    chunks = make(None, _refuse, json.encoder.encode_basestring_ascii, None, ":", ",", True, False, True)
    join = "".join
    return lambda value: join(chunks(value, 0))


def _refuse(value: Any) -> Any:
    msg = f"an identity hook gave {value!r}, which is not JSON data"
    raise TypeError(msg)


_encode = _make_encoder()


def _tagged(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if not _SURROGATE.search(value) else _escaped(value)
    if kind is int:
        return value if -_LARGEST < value < _LARGEST else {_TAG: ["int", hex(value)]}
    if kind in PLAIN:
        return value
    if not depth:
        problem = f"is nested more than {MAX_DEPTH} levels deep"
        raise UnfitError(problem, "pass flatter data, or the path of a file")
    if kind is list:
        return _items(value, depth)
    if kind is dict:
        return _dict(value, depth)
    if kind is tuple:
        return {_TAG: ["tuple", *_items(value, depth)]}
    if kind is set or kind is frozenset:
        return {_TAG: [kind.__name__, *sorted(_items(value, depth), key=_encode)]}
    return {_TAG: _other(value, kind, depth)}


def _items(values: Any, depth: int) -> list[Any]:
    out = []
    depth -= 1
    try:
        for value in values:
            out.append(_tagged(value, depth))
    except UnfitError as error:
        raise error.at(f"[{len(out)}]" if isinstance(values, (list, tuple)) else "{...}", values) from None
    return out


def _dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    depth -= 1
    key: Any = None
    try:
        if _PLAIN_KEYS.issuperset(map(type, value)) and _TAG not in value and sorted(value) == list(value):
            out = {}
            surrogates = False
            for key, item in value.items():
                out[key] = _tagged(item, depth)
                surrogates = surrogates or not key.isascii()
            if not surrogates or not any(map(_SURROGATE.search, value)):
                return out
        pairs = []
        for key, item in value.items():
            pairs.append([_tagged(key, depth), _tagged(item, depth)])
    except UnfitError as error:
        raise error.at(f"[{short(key)}]", value) from None
    return {_TAG: ["dict", *pairs]}


def _named_tuple(value: Any, kind: type[Any], depth: int) -> list[Any]:
    items = dict(zip(kind._fields, value, strict=False))
    if len(items) != len(value):
        raise unfit(value, kind)
    held = _fields(value, kind, items, depth)
    return ["namedtuple", _name(kind), held]


def _dataclass(value: Any, kind: type[Any], depth: int) -> list[Any]:
    from dataclasses import fields

    items = {}
    for field in fields(value):
        if not hasattr(value, field.name):
            problem = f"is {a(kind)} whose field {field.name!r} is not set"
            raise UnfitError(problem, "give every field a value")
        items[field.name] = getattr(value, field.name)
    held = _fields(value, kind, items, depth)
    return ["dataclass", _name(kind), held]


def _fields(value: Any, kind: type[Any], items: dict[str, Any], depth: int) -> dict[str, Any]:
    extra = beyond_fields(value, kind, () if issubclass(kind, tuple) else items)
    if extra:
        problem = f"is {a(kind)} with {extra}, which is none of its fields, so two that differ would count as one"
        raise UnfitError(problem, "declare it as a field of a decorated dataclass")
    name = ""
    try:
        out = {}
        for name, item in items.items():
            out[name] = _tagged(item, depth - 1)
        return out
    except UnfitError as error:
        raise error.at(f".{name}", value) from None


def _escaped(text: str) -> dict[str, Any]:
    return {_TAG: ["str", text.encode("unicode_escape").decode("ascii")]}


def _other(value: Any, kind: type[Any], depth: int) -> list[Any]:
    """Tag a value that is neither JSON data nor a built-in collection."""
    hook = getattr(kind, "__taskproc_identity__", None)
    if hook is not None:
        return ["task", hook(value)]
    known = _KNOWN.get(kind.__name__)
    if known is not None and _is_from(kind, known[0]):
        return [kind.__name__, *(_tagged(part, depth - 1) for part in known[1](value))]
    if is_enum(kind):
        return _enum(value, kind, depth)
    if is_named_tuple(kind):
        return _named_tuple(value, kind, depth)
    if hasattr(kind, "__dataclass_fields__") and not isinstance(value, type):
        return _dataclass(value, kind, depth)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind != "V":
        return ["numpy", value.dtype.name, _tagged(_numpy_item(value), depth - 1)]
    raise unfit(value, kind)


def _enum(value: Any, kind: type[Any], depth: int) -> list[Any]:
    """Tag a member by its name and, in case somebody changes what it means, by what it holds."""
    from enum import Flag

    attributes = {
        name: _of_member(value, kind, name, item, depth)
        for name, item in sorted(vars(value).items())
        if not (name.startswith("_") and name.endswith("_")) and not is_derived(kind, name)
    }
    more = [{_TAG: ["attributes", attributes]}] if attributes else []
    if isinstance(value, Flag):
        return ["flag", _name(kind), _tagged(value.value, 0), *more]
    means = [] if callable(value.value) else [_of_member(value, kind, "value", value.value, depth)]
    return ["enum", _name(kind), value.name, *means, *more]


def _of_member(member: Any, kind: type[Any], name: str, item: Any, depth: int) -> Any:
    """Tag what a member of an enum holds, which is shared by all and so must be fixed."""
    if callable(item):
        return None  # which its source tells apart
    if type(item) is tuple and any(map(callable, item)):
        return [_of_member(member, kind, f"{name}[{index}]", inner, depth - 1) for index, inner in enumerate(item)]
    try:
        tagged = _tagged(item, depth - 1)
    except UnfitError as error:
        raise error.at(f".{name}", member) from None
    if taken(item) is not item:
        problem = f"is {kind.__name__}.{member.name}, whose {name} is {a(type(item))} that can be changed unseen"
        raise UnfitError(problem, "give the members of an enum fixed values, such as tuples, or pass the name of one")
    return tagged


def _numpy_item(value: Any) -> Any:
    if value.dtype.kind in "mM":
        return int(value.view("i8"))
    if value.dtype.kind in "fc" and value.dtype.char in "gG":
        return str(value)
    return value.item()


def _datetime_parts(value: Any) -> tuple[Any, ...]:
    zone = value.tzinfo
    if zone is None:
        return (value.isoformat(), value.fold)
    kind = type(zone)
    key = getattr(zone, "key", None)
    if _is_from(kind, "datetime") and kind.__name__ == "timezone":
        key = zone.tzname(None)
    elif not (_is_from(kind, "zoneinfo") and key):
        problem = f"is {a(type(value))} with {a(kind)} as its time zone, which has no identity across processes"
        raise UnfitError(problem, "use datetime.timezone or zoneinfo.ZoneInfo")
    return (value.isoformat(), value.fold, kind.__name__, key)


def _decimal_parts(value: Any) -> tuple[Any, ...]:
    sign, digits, exponent = value.as_tuple()
    return (sign, "".join(map(str, digits)), exponent)


def _path_parts(value: Any) -> tuple[Any, ...]:
    return (str(value),)


# Types of the standard library, looked up by name so that none of their modules is imported for them.
_KNOWN: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    "bytes": ("builtins", lambda v: (v.hex(),)),
    "bytearray": ("builtins", lambda v: (v.hex(),)),
    "complex": ("builtins", lambda v: (v.real, v.imag)),
    "range": ("builtins", lambda v: (v.start, v.stop, v.step)),
    "slice": ("builtins", lambda v: (v.start, v.stop, v.step)),
    "date": ("datetime", lambda v: (v.isoformat(),)),
    "datetime": ("datetime", _datetime_parts),
    "time": ("datetime", _datetime_parts),
    "timedelta": ("datetime", lambda v: (v.days, v.seconds, v.microseconds)),
    "Decimal": ("decimal", _decimal_parts),
    "Fraction": ("fractions", lambda v: (v.numerator, v.denominator)),
    "UUID": ("uuid", lambda v: (v.hex,)),
    "PosixPath": ("pathlib", _path_parts),
    "WindowsPath": ("pathlib", _path_parts),
    "PurePosixPath": ("pathlib", _path_parts),
    "PureWindowsPath": ("pathlib", _path_parts),
}


def _is_from(kind: type[Any], module: str) -> bool:
    return getattr(sys.modules.get(module), kind.__name__, None) is kind


def is_enum(kind: type[Any]) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(kind, enum.EnumMeta)


def _name(kind: type[Any]) -> str:
    """Name a class, which must be the one that its module has by that name: others would count as the same.

    Raises:
        UnfitError: It is another, or none.
    """
    found = found_instead(kind)
    if found is not kind:
        name = f"{kind.__module__}.{kind.__qualname__}"
        problem = f"is {a(kind)} which is not what {name} is now"
        if found is None:
            problem = f"is {a(kind)} whose class {kind.__module__} does not have as {kind.__qualname__}"
        raise UnfitError(
            f"{problem}, so two of such classes would count as one",
            "define the class at the top level of a module, once, and make the value anew",
        )
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def found_instead(kind: type[Any]) -> Any:
    """Give what the module of a class has by the class's name; the class itself where there is no such module."""
    return found_by_name(kind) if kind.__module__ in sys.modules else kind
