"""What makes two tasks the same: the canonical text of their bound arguments.

The text is ASCII JSON, the same in every process, on every interpreter and for every hash seed. Numbers,
strings, lists and dicts with string keys are themselves; every other value is tagged as `{"$": [kind, ...]}`,
and a dict of the user's that has the key `$` is tagged too, so that nothing can pass for a tag.
"""
from __future__ import annotations

import json.encoder
import re
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from ..base.errors import TaskDefinitionError
from ..base.lean import blake2b
from ..base.script import module_name

MAX_DEPTH = 100

_TAG = "$"
_PLAIN = frozenset((type(None), bool, int, float, str))
_PLAIN_KEYS = frozenset((str,))
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 1 << 1024  # A longer integer is written in base 16: Python may refuse to write it in base 10.
_UNSUSPICIOUS = 300  # characters: no integer in a text as short as this can exceed _LARGEST


class Binder:
    """Binds the arguments of a call to a function's parameters, without the first one (`self`).

    Args:
        function: Usually a class's `__init__`.
        owner: The name to use in errors.

    Example:
        >>> class Choose:
        ...     def __init__(self, n, k=2, *rest, **more): ...
        >>> binder = Binder(Choose.__init__, "Choose")
        >>> binder.bind((6, 3, 4), {"x": 1})
        {'n': 6, 'k': 3, 'rest': (4,), 'more': {'x': 1}}
        >>> binder.bind((), {})
        Traceback (most recent call last):
        TypeError: Choose() is missing the argument 'n'
    """

    __slots__ = ("_call", "_owner", "_shape")

    def __init__(self, function: Callable[..., Any], owner: str) -> None:
        self._owner = owner
        self._shape = _Shape.of(function)
        self._call = self._shape.compile()

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give every parameter its value, defaults included, in the order of the signature.

        Raises:
            TypeError: The function cannot be called in this way.
        """
        try:
            return self._call(*args, **kwargs)
        except TypeError:
            msg = f"{self._owner}() {self._shape.complaint(args, kwargs)}"
            raise TypeError(msg) from None


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
    if _PLAIN.issuperset(map(type, bound.values())):
        try:
            text = _encode(bound)
        except ValueError:  # an integer too long for base 10
            text = ""
        if 0 < len(text) < _UNSUSPICIOUS and "\\ud" not in text:
            return text
    tagged = {}
    for name, value in bound.items():
        try:
            tagged[name] = identity(value)
        except _Unfit as unfit:
            raise TaskDefinitionError(unfit.sentence(owner, f"argument {name}")) from None
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


def const_identity(value: Any) -> dict[str, Any]:
    """Give the identity of a `Const`, for its hook.

    >>> const_identity((1, 2))
    {'const': {'$': ['tuple', 1, 2]}}
    """
    try:
        return {"const": identity(value)}
    except _Unfit as unfit:
        unfit.path.append(".value")
        raise


def digest(task_name: str, text: str) -> bytes:
    """Hash a task's name and the canonical text of its arguments to 16 bytes.

    >>> digest("mod.Choose", '{"k":3,"n":6}').hex()
    '50b059e51665dd24811d755f3319c069'
    """
    return blake2b(f"{task_name}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def readable(value: Any) -> Any:
    """Show bound arguments, or any one value, as plain JSON data for people; look-alikes may look alike.

    Example:
        >>> from pathlib import Path
        >>> readable({"n": 6, "shape": (2, 3), "file": Path("a.txt"), "seen": {"b", "a"}})
        {'n': 6, 'shape': [2, 3], 'file': 'a.txt', 'seen': ['a', 'b']}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return _readable_dict(value)
    if kind is list or kind is tuple:
        return [readable(item) for item in value]
    if kind is set or kind is frozenset:
        return [readable(item) for item in sorted(value, key=lambda item: _encode(identity(item)))]
    hook = getattr(kind, "__taskproc_readable__", None)
    return _readable_other(value, kind) if hook is None else hook(value)


# ---------------------------------------------------------------------------------------------------- binding


class _Shape:
    """The parameters of a function, without the first one."""

    def __init__(
        self,
        positional: list[str],
        positional_only: int,
        keyword: list[str],
        rest: str | None,
        more: str | None,
        defaults: dict[str, Any],
    ) -> None:
        self.positional = positional
        self.positional_only = positional_only
        self.keyword = keyword
        self.rest = rest
        self.more = more
        self.defaults = defaults

    @classmethod
    def of(cls, function: Callable[..., Any]) -> _Shape:
        """Read the parameters from a plain function's code, and through `inspect` from anything else."""
        if not isinstance(function, FunctionType) or "__wrapped__" in function.__dict__:
            return cls._inspected(function)
        code = function.__code__
        names = code.co_varnames
        count, keyword_count = code.co_argcount, code.co_kwonlyargcount
        after = count + keyword_count
        has_rest = bool(code.co_flags & 0x04)
        positional = list(names[:count])
        given = function.__defaults__ or ()
        defaults = dict(zip(positional[count - len(given) :], given, strict=True))
        defaults.update(function.__kwdefaults__ or {})
        return cls(
            positional[1:],
            max(code.co_posonlyargcount - 1, 0),
            list(names[count:after]),
            names[after] if has_rest else None,
            names[after + has_rest] if code.co_flags & 0x08 else None,
            defaults,
        )

    @classmethod
    def _inspected(cls, function: Callable[..., Any]) -> _Shape:
        from inspect import Parameter

        if function is object.__init__:
            return cls([], 0, [], None, None, {})
        parameters = list(_signature(function).parameters.values())
        if parameters and parameters[0].kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            del parameters[0]

        def named(*kinds: Any) -> list[str]:
            return [p.name for p in parameters if p.kind in kinds]

        positional_only = named(Parameter.POSITIONAL_ONLY)
        return cls(
            positional_only + named(Parameter.POSITIONAL_OR_KEYWORD),
            len(positional_only),
            named(Parameter.KEYWORD_ONLY),
            next(iter(named(Parameter.VAR_POSITIONAL)), None),
            next(iter(named(Parameter.VAR_KEYWORD)), None),
            {p.name: p.default for p in parameters if p.default is not Parameter.empty},
        )

    def compile(self) -> Callable[..., dict[str, Any]]:
        """Make a function of this signature that returns its parameters: Python itself binds fastest."""
        parts = [f"{name}=None" if name in self.defaults else name for name in self.positional]
        if self.positional_only:
            parts.insert(self.positional_only, "/")
        if self.rest or self.keyword:
            parts.append(f"*{self.rest or ''}")
        parts += [f"{name}=None" if name in self.defaults else name for name in self.keyword]
        if self.more:
            parts.append(f"**{self.more}")
        names = [*self.positional, *filter(None, [self.rest]), *self.keyword, *filter(None, [self.more])]
        result = ", ".join(f"{name!r}: {name}" for name in names)
        namespace: dict[str, Any] = {}
        exec(f"def bind({', '.join(parts)}): return {{{result}}}", namespace)
        bind: FunctionType = namespace["bind"]
        bind.__defaults__ = tuple(self.defaults[name] for name in self.positional if name in self.defaults)
        bind.__kwdefaults__ = {name: self.defaults[name] for name in self.keyword if name in self.defaults}
        return bind

    def complaint(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Say why a call with these arguments is wrong."""
        if len(args) > len(self.positional) and self.rest is None:
            return f"takes {self._capacity()}, but {len(args)} {'was' if len(args) == 1 else 'were'} given"
        by_position = self.positional[: len(args)]
        by_name = self.positional[self.positional_only :] + self.keyword
        for name in kwargs:
            if name in by_position and name in by_name:
                return f"got the argument {name!r} twice, by position and by name"
            if name not in by_name and self.more is None:
                return f"has no argument {name!r}{_suggestion(name, by_name)}"
        missing = [
            name
            for name in self.positional[len(args) :] + self.keyword
            if name not in self.defaults and (name not in kwargs or name not in by_name)
        ]
        return f"is missing the argument{'s' if len(missing) > 1 else ''} {_enumerated(missing)}"

    def _capacity(self) -> str:
        most = len(self.positional)
        least = sum(name not in self.defaults for name in self.positional)
        by_position = " by position" if self.keyword else ""
        if not most:
            return f"no arguments{by_position}"
        number = str(most) if least == most else f"{least} to {most}"
        return f"{number} argument{'' if most == 1 else 's'}{by_position}"


def _signature(function: Callable[..., Any]) -> Any:
    """Give a function's signature, without evaluating annotations that name what only type checkers see."""
    from inspect import signature

    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return signature(function, annotation_format=Format.FORWARDREF)
    return signature(function)


def _suggestion(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it has {_enumerated(known)}" if known else "; it takes none by name"


def _enumerated(names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


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


class _Unfit(TaskDefinitionError):
    """A value without identity; each container on the way up adds its step to the path."""

    def __init__(self, problem: str, advice: str) -> None:
        self.problem = problem
        self.advice = advice
        self.path: list[str] = []
        self.containers: list[Any] = []
        super().__init__(problem)

    def __str__(self) -> str:
        return self.sentence("identity of a task", "value")

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskDefinitionError, (str(self),)

    def at(self, step: str, container: Any) -> _Unfit:
        self.path.append(step)
        self.containers.append(container)
        return self

    def sentence(self, owner: str, argument: str) -> str:
        steps = self.path[::-1]
        if len({id(container) for container in self.containers}) < len(self.containers):
            return f"{owner}: {argument} contains itself, so it has no end; pass plain data without cycles"
        if len(steps) >= MAX_DEPTH:
            steps = [*steps[:3], "..."]
        return f"{owner}: {argument}{''.join(steps)} {self.problem}; {self.advice}"


def _tagged(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if not _SURROGATE.search(value) else _escaped(value)
    if kind is int:
        return value if -_LARGEST < value < _LARGEST else {_TAG: ["int", hex(value)]}
    if kind in _PLAIN:
        return value
    if not depth:
        problem = f"is nested more than {MAX_DEPTH} levels deep"
        raise _Unfit(problem, "pass flatter data, or the path of a file")
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
    except _Unfit as unfit:
        raise unfit.at(f"[{len(out)}]" if isinstance(values, (list, tuple)) else "{...}", values) from None
    return out


def _dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    depth -= 1
    key: Any = None
    try:
        if _PLAIN_KEYS.issuperset(map(type, value)) and _TAG not in value:
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
    except _Unfit as unfit:
        raise unfit.at(f"[{_short(key)}]", value) from None
    return {_TAG: ["dict", *sorted(pairs, key=lambda pair: _encode(pair[0]))]}


def _fields(value: Any, names: Any, depth: int) -> dict[str, Any]:
    name = ""
    try:
        out = {}
        for name in names:
            out[name] = _tagged(getattr(value, name), depth - 1)
        return out
    except _Unfit as unfit:
        raise unfit.at(f".{name}", value) from None


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
    if _is_enum(kind):
        return _enum(value, kind)
    names = getattr(kind, "_fields", None)
    if issubclass(kind, tuple) and isinstance(names, tuple):
        return ["namedtuple", _name(kind), _fields(value, names, depth)]
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return ["dataclass", _name(kind), _fields(value, [f.name for f in fields(value)], depth)]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind != "V":
        return ["numpy", value.dtype.name, _tagged(_numpy_item(value), depth - 1)]
    raise _unfit(value, kind)


def _enum(value: Any, kind: type[Any]) -> list[Any]:
    """Tag a member by its name and, in case somebody changes what it means, its value if that is simple."""
    from enum import Flag

    if isinstance(value, Flag):
        return ["flag", _name(kind), _tagged(value.value, 0)]
    simple = [_tagged(value.value, 0)] if type(value.value) in _PLAIN else []
    return ["enum", _name(kind), value.name, *simple]


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
    at = value if hasattr(value, "year") else None
    return (value.isoformat(), value.fold, type(zone).__name__, getattr(zone, "key", None) or zone.tzname(at))


def _decimal_parts(value: Any) -> tuple[Any, ...]:
    sign, digits, exponent = value.as_tuple()
    return (sign, "".join(map(str, digits)), exponent)


def _path_parts(value: Any) -> tuple[Any, ...]:
    return (str(value),)


# Types of the standard library, looked up by name so that none of their modules is imported for them.
_KNOWN: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    "bytes": ("builtins", lambda v: (v.hex(),)),
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


def _is_enum(kind: type[Any]) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(kind, enum.EnumMeta)


def _name(kind: type[Any]) -> str:
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


# ------------------------------------------------------------------------------------------------- complaints


def _unfit(value: Any, kind: type[Any]) -> _Unfit:
    word = "class" if isinstance(value, type) else kind.__name__
    article = "an" if word[:1].lower() in "aeiou" else "a"
    return _Unfit(f"is {article} {word}, which has no identity across processes", _advice(value))


def _advice(value: Any) -> str:
    for plain in (str, int, float, bytes, list, tuple, dict, set, frozenset):
        if isinstance(value, plain):
            return f"pass a plain {plain.__name__}, such as {plain.__name__}(...) of it"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return "pass a task that makes it, or the path of a file that holds it"
    if hasattr(value, "read") or hasattr(value, "fileno"):
        return "pass the path of the file"
    if callable(value):
        return "pass its name, and look it up in run_task"
    return "pass numbers, strings, lists, dicts, dataclasses, enums, paths, dates or tasks"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


# ---------------------------------------------------------------------------------------------------- reading


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
    if _is_enum(kind):
        return f"{kind.__name__}.{value.name}" if value.name else str(value)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: readable(getattr(value, name)) for name in value._fields}
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return {f.name: readable(getattr(value, f.name)) for f in fields(value)}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        return item if type(item) in _PLAIN else str(value)
    return value.isoformat() if hasattr(kind, "isoformat") else str(value)
